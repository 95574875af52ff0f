/* Rows of a picture sampled at each pixel's place plus a flow, by bicubic interpolation. */
#ifndef VIDSR_SAMPLING_H
#define VIDSR_SAMPLING_H

#include "planes.h"

#if defined(__AVX512F__)
#include <immintrin.h>
/* The floats at places 0 to 2 LANES - 1 of `a` and then `b`. */
INLINE vec pick(vec a, vec b, ivec at) { return (vec)_mm512_permutex2var_ps((__m512)a, (__m512i)at, (__m512)b); }
#define HAS_PICK 1
#else
#define HAS_PICK 0
#endif

#define TAPS 5 /* pixels around the nearest one that bicubic interpolation may weigh, in one direction */
#define REACH 2

/* Places that one row of pixels is sampled at. */
typedef struct {
    int *left, *top;      /* the nearest pixel */
    float *across, *down; /* [TAPS][width]: weights of the pixels around it */
    /* Of LANES pixels from each LANES-th on: how they are computed, their first column, the first and last of their lines. */
    int *kind, *base, *first, *last;
} Places;

#define PLACES_INTS 6
#define PLACES_FLOATS (2 * TAPS)

/* How LANES pixels are computed: from pixels that lie side by side; some at a time that do; or, where there is an instruction
 * for it, each picks its own from 2 LANES columns, once for each line that is the nearest one of any. */
enum { STRAIGHT, MIXED, WINDOW };

static Places places_in(int *ints, float *floats, int width) {
    int *groups = ints + 2L * width;
    float *down = floats + (long)TAPS * width;
    return (Places){ints, ints + width, floats, down, groups, groups + width, groups + 2L * width, groups + 3L * width};
}

/* Places along one side, `first` + `step` * x + `gain` * flow[x], as the nearest pixels and the weights around them (Keys 1981,
 * a = -0.75). Far outside and NaN are as just outside. */
static void nearest(const float *restrict flow, float gain, float first, float step, int length, int width,
                    int *restrict whole, float *restrict weights) {
    float low = -4, high = (float)(length + 3), a = -0.75f;
    float *restrict w0 = weights, *restrict w1 = w0 + width, *restrict w2 = w1 + width, *restrict w3 = w2 + width;
    float *restrict w4 = w3 + width;
    for (int x = 0; x < width; x++) {
        float place = first + step * (float)x + gain * flow[x];
        place = place > low ? place < high ? place : high : low;
        float whole_place = place + 12582912.0f - 12582912.0f; /* floats of that size have no fraction */
        whole[x] = (int)whole_place;
        float t = place - whole_place, s = t < 0 ? -t : t, u = 1 - s, s1 = 1 + s, u1 = 2 - s;
        float here = ((a + 2) * s - (a + 3)) * s * s + 1, toward = ((a + 2) * u - (a + 3)) * u * u + 1;
        float behind = ((a * s1 - 5 * a) * s1 + 8 * a) * s1 - 4 * a;
        float beyond = ((a * u1 - 5 * a) * u1 + 8 * a) * u1 - 4 * a;
        w0[x] = t < 0 ? beyond : 0;
        w1[x] = t < 0 ? toward : behind;
        w2[x] = here;
        w3[x] = t < 0 ? behind : toward;
        w4[x] = t < 0 ? 0 : beyond;
    }
}

/* The first pixel of a group; the last group overlaps the one before it. */
INLINE int group_start(int group, int width) {
    return (group + 1) * LANES <= width ? group * LANES : width - LANES;
}

static void find_groups(const Places *p, int width) {
    for (int group = 0; group * LANES < width && width >= LANES; group++) {
        int start = group_start(group, width);
        const int *restrict left = p->left + start, *restrict top = p->top + start;
        int low = left[0], high = left[0], first = top[0], last = top[0], apart = 0;
        for (int i = 0; i < LANES; i++) {
            low = left[i] < low ? left[i] : low;
            high = left[i] > high ? left[i] : high;
            first = top[i] < first ? top[i] : first;
            last = top[i] > last ? top[i] : last;
            apart |= left[i] - i - left[0];
        }
        low -= REACH;
        high += REACH;
        int inside = low >= 0 && high < width;
        low = clamp(low, width - 1);
        high = clamp(high, width - 1);
        p->first[group] = first;
        p->last[group] = last;
        p->base[group] = low < width - 2 * LANES ? low : width - 2 * LANES;
        if (inside && !apart && first == last)
            p->kind[group] = STRAIGHT;
        else
            p->kind[group] = HAS_PICK && width >= 2 * LANES && high - low < 2 * LANES ? WINDOW : MIXED;
    }
}

/* Row `y` of a picture sampled at its pixels' places plus `gain` times a flow. */
static void find_places(const Places *p, const float *flow, float gain, int y, int height, int width) {
    const float *fx = flow + (long)y * width, *fy = fx + (long)height * width;
    nearest(fx, gain, 0, 1, width, width, p->left, p->across);
    nearest(fy, gain, (float)y, 0, height, width, p->top, p->down);
    find_groups(p, width);
}

/* One pixel. Vectors along `k` or `r`, which compilers would choose, are many times slower. */
#if defined(__GNUC__) && !defined(__clang__)
__attribute__((optimize("no-tree-vectorize")))
#endif
static float sample(const float *from, const Places *p, int x, int height, int width) {
    const float *rows[TAPS];
    for (int r = 0; r < TAPS; r++) rows[r] = from + (long)clamp(p->top[x] + r - REACH, height - 1) * width;
    float sum = 0;
    for (int k = 0; k < TAPS; k++) {
        int at = clamp(p->left[x] + k - REACH, width - 1);
        float column = 0;
        for (int r = 0; r < TAPS; r++) column += p->down[(long)r * width + x] * rows[r][at];
        sum += p->across[(long)k * width + x] * column;
    }
    return sum;
}

/* LANES pixels from `at` on whose nearest ones lie side by side, `shift` further to the right. */
INLINE vec sample_straight(const float *const *rows, const Places *p, long at, int shift, int width) {
    vec down[TAPS], sum = {0};
    for (int r = 0; r < TAPS; r++) down[r] = *(const vec *)(p->down + (long)r * width + at);
    for (int k = 0; k < TAPS; k++) {
        long from = at + shift + k - REACH;
        vec column = down[0] * *(const vec *)(rows[0] + from);
        for (int r = 1; r < TAPS; r++) column += down[r] * *(const vec *)(rows[r] + from);
        sum += *(const vec *)(p->across + (long)k * width + at) * column;
    }
    return sum;
}

INLINE void rows_around(const float *from, int line, const float **rows, int height, int width) {
    for (int r = 0; r < TAPS; r++) rows[r] = from + (long)clamp(line + r - REACH, height - 1) * width;
}

#if HAS_PICK
/* LANES pixels from `at` on, whose pixels lie in the 2 LANES columns from `base` on: right where the middle one
 * of `rows` is the nearest. */
INLINE vec sample_window(const float *const *rows, const Places *p, long at, int base, int width) {
    vec down[TAPS], a[TAPS], b[TAPS], sum = {0};
    ivec left = *(const ivec *)(p->left + at) - base;
#pragma GCC unroll 8
    for (int r = 0; r < TAPS; r++) {
        down[r] = *(const vec *)(p->down + (long)r * width + at);
        a[r] = *(const vec *)(rows[r] + base);
        b[r] = *(const vec *)(rows[r] + base + LANES);
    }
#pragma GCC unroll 8
    for (int k = 0; k < TAPS; k++) {
        ivec place = left + (k - REACH), under = place < -base, over = place > width - 1 - base;
        place = (under & -base) | (over & (width - 1 - base)) | (place & ~under & ~over);
        vec column = down[0] * pick(a[0], b[0], place);
#pragma GCC unroll 8
        for (int r = 1; r < TAPS; r++) column += down[r] * pick(a[r], b[r], place);
        sum += *(const vec *)(p->across + (long)k * width + at) * column;
    }
    return sum;
}
#endif

/* LANES pixels from `start` on: together those whose nearest pixels lie alike, as far as they lie inside. */
static void carry_mixed(const float *from, float *to, const Places *p, int start, int height, int width) {
    int shifts[LANES], done[LANES] = {0};
    const float *rows[TAPS];
    float *out = to + start;
    ivec tops = *(const ivec *)(p->top + start);
    for (int i = 0; i < LANES; i++) shifts[i] = p->left[start + i] - (start + i);
    for (int i = 0; i < LANES; i++) {
        int shift = shifts[i], line = p->top[start + i];
        if (done[i]) continue;
        if (start + shift < REACH || start + shift + LANES + REACH > width) {
            out[i] = sample(from, p, start + i, height, width);
            continue;
        }
        rows_around(from, line, rows, height, width);
        ivec alike = (*(const ivec *)shifts == shift) & (tops == line);
        ivec made = (ivec)sample_straight(rows, p, start, shift, width);
        *(ivec *)out = (made & alike) | (*(const ivec *)out & ~alike);
        *(ivec *)done |= alike;
    }
}

static void carry_row(const float *from, float *to, const Places *p, int height, int width) {
    const float *rows[TAPS];
    for (int group = 0; group * LANES < width && width >= LANES; group++) {
        int start = group_start(group, width), kind = p->kind[group];
        if (kind == STRAIGHT) {
            rows_around(from, p->top[start], rows, height, width);
            *(vec *)(to + start) = sample_straight(rows, p, start, p->left[start] - start, width);
        } else if (kind == MIXED) {
            carry_mixed(from, to, p, start, height, width);
        } else {
#if HAS_PICK
            vec made = {0};
            ivec top = *(const ivec *)(p->top + start);
            for (int line = p->first[group]; line <= p->last[group]; line++) {
                rows_around(from, line, rows, height, width);
                ivec there = top == line;
                made = (vec)(((ivec)made & ~there) | ((ivec)sample_window(rows, p, start, p->base[group], width) & there));
            }
            *(vec *)(to + start) = made;
#endif
        }
    }
    for (int x = 0; x < width && width < LANES; x++) to[x] = sample(from, p, x, height, width);
}

#endif
