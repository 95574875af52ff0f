/* What the kernels for pictures share. */
#ifndef VIDSR_PLANES_H
#define VIDSR_PLANES_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* LANES: floats of a vector. */
#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif

#define MOST_TAPS 257

#define INLINE static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int ivec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

INLINE int clamp(int value, int most) { return value < 0 ? 0 : value > most ? most : value; }

/* As `combine`, for less than a vector. Vectors along `k`, which compilers would choose, are many times slower. */
static __attribute__((unused, noinline)) void combine_narrow(float *out, const float *const *rows, const float *taps,
                                                             int count, int width) {
    for (int x = 0; x < width; x++) {
        float sum = taps[0] * rows[0][x];
        for (int k = 1; k < count; k++) {
            sum += taps[k] * rows[k][x];
            __asm__("" : "+m"(sum));
        }
        out[x] = sum;
    }
}

/* out[x] = sum over k of taps[k] * rows[k][x]; `out` is none of the rows. */
INLINE void combine(float *out, const float *const *rows, const float *taps, int count, int width) {
    int x = 0;
    for (; x + 4 * LANES <= width; x += 4 * LANES) {
        vec sum[4];
        for (int i = 0; i < 4; i++) sum[i] = taps[0] * *(const vec *)(rows[0] + x + i * LANES);
        for (int k = 1; k < count; k++) {
            const float *row = rows[k] + x;
            float tap = taps[k];
            sum[0] += tap * *(const vec *)row;
            sum[1] += tap * *(const vec *)(row + LANES);
            sum[2] += tap * *(const vec *)(row + 2 * LANES);
            sum[3] += tap * *(const vec *)(row + 3 * LANES);
        }
        for (int i = 0; i < 4; i++) *(vec *)(out + x + i * LANES) = sum[i];
    }
    for (; x < width && width >= LANES; x += LANES) {
        if (x + LANES > width) x = width - LANES; /* the last ones once more rather than one by one */
        vec sum = taps[0] * *(const vec *)(rows[0] + x);
        for (int k = 1; k < count; k++) sum += taps[k] * *(const vec *)(rows[k] + x);
        *(vec *)(out + x) = sum;
    }
    if (x < width) combine_narrow(out, rows, taps, count, width);
}

/* `row` has `radius` floats of room on either side of its `width`. */
INLINE void repeat_ends(float *row, int radius, int width) {
    for (int i = 1; i <= radius; i++) {
        row[-i] = row[0];
        row[width - 1 + i] = row[width - 1];
    }
}

/* `out` filtered across by an odd number of taps from `row`, which has room for them on either side of its `width`. */
INLINE void combine_across(float *out, float *row, const float *taps, int count, int width) {
    const float *rows[MOST_TAPS];
    repeat_ends(row, count / 2, width);
    for (int k = 0; k < count; k++) rows[k] = row + k - count / 2;
    combine(out, rows, taps, count, width);
}

/* Where pixel `at` of `large` lies among `small` pixels, linearly: the pixel before, the one after, the share of the
 * latter. */
INLINE void linear_place(int at, int small, int large, int *before, int *after, float *share) {
    float scale = (float)small / (float)large, place = ((float)at + 0.5f) * scale - 0.5f;
    place = place < 0 ? 0 : place;
    *before = clamp((int)place, small - 1);
    *after = clamp(*before + 1, small - 1);
    *share = place - (float)*before;
}

#endif
