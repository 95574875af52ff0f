/* What happens to pictures around the network on a CPU: filters, resampling, block spectra, motion, code values.
 *
 * A picture is a number of planes of floats, [planes][height][width], one after the other. Borders repeat. Each function
 * runs in the thread that calls it and writes every value by the same sequence of operations wherever it lies, so results
 * depend on neither threads nor batches. Those that need working memory return 1 where there is none, and 0 otherwise.
 */
#include <stdint.h>
#include <stdlib.h>

/* LANES: floats of a vector. */
#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif

#define MOST_TAPS 257
#define CUBIC 5 /* taps of a phase of bicubic enlargement */
#define SIDE 8  /* pixels of a block whose spectrum is measured */

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

static inline int clamp(int value, int most) { return value < 0 ? 0 : value > most ? most : value; }

/* out[x] = sum over k of taps[k] * rows[k][x] */
static inline __attribute__((always_inline)) void combine(float *out, const float *const *rows, const float *taps, int count, int width) {
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
    for (; x + LANES <= width; x += LANES) {
        vec sum = taps[0] * *(const vec *)(rows[0] + x);
        for (int k = 1; k < count; k++) sum += taps[k] * *(const vec *)(rows[k] + x);
        *(vec *)(out + x) = sum;
    }
    for (; x < width; x++) {
        float sum = taps[0] * rows[0][x];
        for (int k = 1; k < count; k++) sum += taps[k] * rows[k][x];
        out[x] = sum;
    }
}

/* `row` has `radius` floats of room on either side of its `width`. */
static inline void repeat_ends(float *row, int radius, int width) {
    for (int i = 1; i <= radius; i++) {
        row[-i] = row[0];
        row[width - 1 + i] = row[width - 1];
    }
}

/* Filtered by odd numbers of taps, at most MOST_TAPS, down and across. */
int pictures_filter(const float *in, float *out, long planes, int height, int width, const float *down, int downs,
                    const float *across, int acrosses) {
    int over = downs / 2, beside = acrosses / 2;
    float *room = malloc(sizeof(float) * (width + 2 * beside)), *row = room + beside;
    if (!room) return 1;
    for (long p = 0; p < planes; p++, in += (long)height * width)
        for (int y = 0; y < height; y++, out += width) {
            const float *rows[MOST_TAPS];
            for (int k = 0; k < downs; k++) rows[k] = in + (long)clamp(y + k - over, height - 1) * width;
            combine(row, rows, down, downs, width);
            repeat_ends(row, beside, width);
            for (int k = 0; k < acrosses; k++) rows[k] = row + k - beside;
            combine(out, rows, across, acrosses, width);
        }
    free(room);
    return 0;
}

static inline __attribute__((always_inline)) void average(const float *row, float *out, int columns, int ratio,
                                                          float share) {
    for (int x = 0; x < columns; x++) {
        float sum = row[(long)x * ratio];
        for (int k = 1; k < ratio; k++) sum += row[(long)x * ratio + k];
        out[x] = sum * share;
    }
}

/* Averages over blocks of `tall` x `wide` pixels: out is [planes][rows][columns]. */
int pictures_average(const float *in, float *out, long planes, int rows, int columns, int tall, int wide) {
    long width = (long)columns * wide;
    float *sum = malloc(sizeof(float) * width), share = 1.0f / (float)(tall * wide);
    if (!sum) return 1;
    for (long r = 0; r < planes * rows; r++, out += columns) {
        for (long x = 0; x < width; x++) sum[x] = in[x];
        in += width;
        for (int k = 1; k < tall; k++, in += width)
            for (long x = 0; x < width; x++) sum[x] += in[x];
        if (wide == 1)
            average(sum, out, columns, 1, share);
        else if (wide == 2)
            average(sum, out, columns, 2, share);
        else if (wide == 3)
            average(sum, out, columns, 3, share);
        else if (wide == 4)
            average(sum, out, columns, 4, share);
        else
            average(sum, out, columns, wide, share);
    }
    free(sum);
    return 0;
}

static void widen(const float *in, float *out, int width, int ratio, const float *taps, float *row, float *phase) {
    for (int x = 0; x < width; x++) row[x] = in[x];
    repeat_ends(row, CUBIC / 2, width);
    const float *rows[CUBIC];
    for (int k = 0; k < CUBIC; k++) rows[k] = row + k - CUBIC / 2;
    for (int p = 0; p < ratio; p++) {
        combine(ratio == 1 ? out : phase, rows, taps + p * CUBIC, CUBIC, width);
        if (ratio == 1) return;
        for (int x = 0; x < width; x++) out[(long)x * ratio + p] = phase[x];
    }
}

/* Enlarged by whole numbers and added to `base` of the large size, where that is not NULL; `out` may be `base`.
 * `down` and `across` hold CUBIC taps for each of the `tall` and `wide` pixels that one becomes. */
int pictures_enlarge(const float *in, const float *base, float *out, long planes, int height, int width, int tall,
                     int wide, const float *down, const float *across) {
    long large = (long)width * wide;
    float *room = malloc(sizeof(float) * (CUBIC * large + 2 * width + CUBIC));
    if (!room) return 1;
    float *row = room + CUBIC * large + CUBIC / 2, *phase = row + width + CUBIC / 2;
    for (long p = 0; p < planes; p++, in += (long)height * width) {
        int made = 0; /* rows of this plane that are widened, each at its number modulo CUBIC */
        for (int y = 0; y < height; y++) {
            for (; made < height && made <= y + CUBIC / 2; made++)
                widen(in + (long)made * width, room + made % CUBIC * large, width, wide, across, row, phase);
            const float *rows[CUBIC];
            for (int k = 0; k < CUBIC; k++) rows[k] = room + clamp(y + k - CUBIC / 2, height - 1) % CUBIC * large;
            for (int q = 0; q < tall; q++, out += large) {
                const float *taps = down + q * CUBIC;
                if (base) {
                    for (long x = 0; x < large; x++)
                        out[x] = base[x] + (taps[0] * rows[0][x] + taps[1] * rows[1][x] + taps[2] * rows[2][x] +
                                            taps[3] * rows[3][x] + taps[4] * rows[4][x]);
                    base += large;
                } else
                    combine(out, rows, taps, CUBIC, (int)large);
            }
        }
    }
    free(room);
    return 0;
}

/* Mean power of those coefficients of the DCT of 8x8 blocks whose two frequencies (0 to 7) add up to `low` <= sum <
 * `high`. Blocks lie `stride` (which divides 8) pixels apart; out is [planes][blocks down][blocks across]. `basis` is
 * the transform, [frequency][pixel]. */
int pictures_block_power(const float *in, float *out, long planes, int height, int width, int stride, int low, int high,
                         const float *basis) {
    int down = (height - SIDE) / stride + 1, across = (width - SIDE) / stride + 1, phases = width / stride + 1;
    /* The row, each stride-th pixel in a row of its own; then, for the last SIDE rows, the transform across of all blocks,
     * [row modulo SIDE][frequency][block]; then a sum for each coefficient of one row of blocks. */
    float *split = malloc(sizeof(float) * ((long)stride * phases + (long)SIDE * SIDE * across + across));
    if (!split) return 1;
    float *lines = split + (long)stride * phases, *sum = lines + (long)SIDE * SIDE * across;
    int first = low > SIDE - 1 ? low - (SIDE - 1) : 0, count = 0;
    for (int u = 0; u < SIDE; u++)
        for (int v = 0; v < SIDE; v++) count += u + v >= low && u + v < high;
    for (long p = 0; p < planes; p++, in += (long)height * width)
        for (int y = 0; y < height; y++) {
            const float *row = in + (long)y * width, *rows[SIDE];
            for (int s = 0; s < stride; s++)
                for (int x = 0; x * stride + s < width; x++) split[s * phases + x] = row[x * stride + s];
            for (int k = 0; k < SIDE; k++) rows[k] = split + k % stride * phases + k / stride;
            for (int u = first; u < SIDE && u < high; u++)
                combine(lines + ((long)(y % SIDE) * SIDE + u) * across, rows, basis + u * SIDE, SIDE, across);
            int top = y - SIDE + 1;
            if (top < 0 || top % stride || top / stride >= down) continue;
            for (int x = 0; x < across; x++) out[x] = 0;
            for (int u = first; u < SIDE && u < high; u++)
                for (int v = low - u < 0 ? 0 : low - u; v < SIDE && u + v < high; v++) {
                    for (int k = 0; k < SIDE; k++) rows[k] = lines + ((long)((top + k) % SIDE) * SIDE + u) * across;
                    combine(sum, rows, basis + v * SIDE, SIDE, across);
                    for (int x = 0; x < across; x++) out[x] += sum[x] * sum[x];
                }
            for (int x = 0; x < across; x++) out[x] /= (float)count;
            out += across;
        }
    free(split);
    return 0;
}

typedef float vec4 __attribute__((vector_size(16), aligned(4), may_alias));

/* Places along one side, `first` + `step` * x + flow[x], as the pixels before them and the weights of the four pixels around
 * (Keys 1981, a = -0.75), [width][4]. Far outside and NaN are as just outside. */
static void cubic_places(const float *restrict flow, float first, float step, int length, int width, int *restrict before,
                         float *restrict weights, float *restrict room) {
    float low = -4, high = (float)(length + 3), a = -0.75f;
    float *restrict w0 = room, *restrict w1 = room + width, *restrict w2 = room + 2L * width, *restrict w3 = room + 3L * width;
    for (int x = 0; x < width; x++) {
        float place = first + step * (float)x + flow[x];
        place = place > low ? place < high ? place : high : low;
        int whole = (int)place;
        whole -= (float)whole > place;
        before[x] = whole;
        float t = place - (float)whole, u = 1 - t, t1 = t + 1, u1 = u + 1;
        w0[x] = ((a * t1 - 5 * a) * t1 + 8 * a) * t1 - 4 * a;
        w1[x] = ((a + 2) * t - (a + 3)) * t * t + 1;
        w2[x] = ((a + 2) * u - (a + 3)) * u * u + 1;
        w3[x] = ((a * u1 - 5 * a) * u1 + 8 * a) * u1 - 4 * a;
    }
    for (int x = 0; x < width; x++) *(vec4 *)(weights + 4L * x) = (vec4){w0[x], w1[x], w2[x], w3[x]};
}

/* A pixel some of whose surroundings lie outside. */
static __attribute__((noinline)) float at_border(const float *from, int left, int top, int height, int width,
                                                 const float *across, const float *down) {
    float sum[4] = {0};
    for (int r = 0; r < 4; r++) {
        const float *p = from + (long)clamp(top + r - 1, height - 1) * width;
        for (int k = 0; k < 4; k++) sum[k] += down[r] * p[clamp(left + k - 1, width - 1)];
    }
    return (sum[0] * across[0] + sum[1] * across[1]) + (sum[2] * across[2] + sum[3] * across[3]);
}

/* Each of `channels` planes of `pictures` pictures sampled at each pixel's place plus `flow`, [pictures][x, y][height]
 * [width] in pixels, by bicubic interpolation. */
int pictures_warp(const float *in, const float *flow, float *out, long pictures, int channels, int height, int width) {
    long plane = (long)height * width;
    int *left = malloc(sizeof(int) * 2 * width);
    float *weights = malloc(sizeof(float) * 12 * width);
    if (!left || !weights) {
        free(left);
        free(weights);
        return 1;
    }
    int *top = left + width;
    float *down = weights + 4L * width, *room = down + 4L * width;
    for (long n = 0; n < pictures; n++, flow += 2 * plane, in += channels * plane, out += channels * plane)
        for (int y = 0; y < height; y++) {
            const float *fx = flow + (long)y * width, *fy = fx + plane;
            cubic_places(fx, 0, 1, width, width, left, weights, room);
            cubic_places(fy, (float)y, 0, height, width, top, down, room);
            for (int c = 0; c < channels; c++) {
                const float *from = in + c * plane;
                float *to = out + c * plane + (long)y * width;
                for (int x = 0; x < width; x++) {
                    int i = left[x], j = top[x];
                    if (i < 1 || i + 2 >= width || j < 1 || j + 2 >= height) {
                        to[x] = at_border(from, i, j, height, width, weights + 4L * x, down + 4L * x);
                        continue;
                    }
                    const float *w = down + 4L * x, *p = from + (long)(j - 1) * width + i - 1;
                    vec4 sum = w[0] * *(const vec4 *)p + w[1] * *(const vec4 *)(p + width) +
                               w[2] * *(const vec4 *)(p + 2 * width) + w[3] * *(const vec4 *)(p + 3 * width);
                    sum *= *(const vec4 *)(weights + 4L * x);
                    to[x] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
                }
            }
        }
    free(left);
    free(weights);
    return 0;
}

/* What one least-squares correction of a flow sums over a window: [5][height][width], gradients times gradients and
 * gradients times the difference of `now` and `moved`, weighted by 1 / (1 + (difference / `scale`)^2)^2. */
int pictures_flow_products(const float *now, const float *moved, float *out, long pictures, int height, int width,
                           float scale) {
    long plane = (long)height * width;
    for (long n = 0; n < pictures; n++, now += plane, moved += plane, out += 5 * plane)
        for (int y = 0; y < height; y++) {
            const float *a = now + (long)y * width, *b = moved + (long)y * width;
            long over = y ? -width : 0, under = y < height - 1 ? width : 0;
            float *to = out + (long)y * width;
            for (int x = 0; x < width; x++) {
                int before = x ? x - 1 : 0, after = x < width - 1 ? x + 1 : x;
                float gx = ((a[after] + b[after]) * 0.5f - (a[before] + b[before]) * 0.5f) * 0.5f;
                float gy = ((a[x + under] + b[x + under]) * 0.5f - (a[x + over] + b[x + over]) * 0.5f) * 0.5f;
                float gap = a[x] - b[x], far = gap / scale, near = 1 / (1 + far * far), trust = near * near;
                to[x] = gx * gx * trust;
                to[x + plane] = gx * gy * trust;
                to[x + 2 * plane] = gy * gy * trust;
                to[x + 3 * plane] = gx * gap * trust;
                to[x + 4 * plane] = gy * gap * trust;
            }
        }
    return 0;
}

/* The flow corrected by the solution of those sums, `damping` added to the squares, by one pixel at most. */
int pictures_flow_step(const float *sums, const float *flow, float *out, long pictures, int height, int width,
                       float damping) {
    long plane = (long)height * width;
    for (long n = 0; n < pictures; n++, sums += 5 * plane, flow += 2 * plane, out += 2 * plane)
        for (long i = 0; i < plane; i++) {
            float xx = sums[i] + damping, xy = sums[i + plane], yy = sums[i + 2 * plane] + damping;
            float bx = sums[i + 3 * plane], by = sums[i + 4 * plane], determinant = xx * yy - xy * xy;
            float dx = (yy * bx - xy * by) / determinant, dy = (xx * by - xy * bx) / determinant;
            dx = dx < -1 ? -1 : dx > 1 ? 1 : dx;
            dy = dy < -1 ? -1 : dy > 1 ? 1 : dy;
            out[i] = flow[i] + dx;
            out[i + plane] = flow[i + plane] + dy;
        }
    return 0;
}

/* Where chroma samples lie relative to the two luma samples that they cover. */
enum { FIRST, MIDDLE, LAST };

typedef struct {
    const float *rgb;       /* [3][height][width] */
    const float *dither[3]; /* in code values, of the size of each plane; NULL for none */
    void *planes[3];        /* uint8_t, or uint16_t where `deep` */
    float matrix[9];        /* RGB to Y, Cb, Cr */
    float factor[3], offset[3], most;
    int height, width;
    int log2_height, log2_width; /* of the chroma planes: 0 or 1 */
    int vertical, horizontal;    /* FIRST, MIDDLE or LAST */
    int deep;
} Conversion;

int pictures_conversion_bytes(void) { return (int)sizeof(Conversion); }

static inline __attribute__((always_inline)) float code(float unit, float factor, float offset, float dither, float most) {
    float value = unit * factor + offset + dither;
    value = value < 0 ? 0 : value > most ? most : value;
    return value + 12582912.0f - 12582912.0f; /* rounds to the nearest, as floats of that size have no fraction */
}

static void store_codes(const Conversion *c, int plane, const float *restrict units, long at, int width) {
    float factor = c->factor[plane], offset = c->offset[plane], most = c->most;
    const float *dither = c->dither[plane] ? c->dither[plane] + at : NULL;
    if (c->deep) {
        uint16_t *restrict out = (uint16_t *)c->planes[plane] + at;
        for (int x = 0; x < width; x++) out[x] = (uint16_t)(int)code(units[x], factor, offset, dither ? dither[x] : 0, most);
    } else {
        uint8_t *restrict out = (uint8_t *)c->planes[plane] + at;
        for (int x = 0; x < width; x++) out[x] = (uint8_t)(int)code(units[x], factor, offset, dither ? dither[x] : 0, most);
    }
}

/* One row of chroma, to half its width, by the smooth filter for its position; `width` may be odd. */
static void halve(const float *restrict in, float *restrict out, int width, int position) {
    int half = (width + 1) / 2, whole = width / 2, last = width - 1;
    if (position == MIDDLE) {
        for (int x = 0; x < whole; x++) out[x] = (in[2 * x] + in[2 * x + 1]) / 2;
        if (whole < half) out[whole] = in[last];
    } else if (position == FIRST) {
        out[0] = in[0] / 2 + in[clamp(1, last)] / 2;
        for (int x = 1; x < whole; x++) out[x] = in[2 * x] / 2 + (in[2 * x + 1] + in[2 * x - 1]) / 4;
        if (whole < half && whole > 0) out[whole] = in[last] / 2 + (in[last] + in[last - 1]) / 4;
    } else {
        for (int x = 0; x + 1 < half; x++) out[x] = in[2 * x + 1] / 2 + (in[2 * x] + in[2 * x + 2]) / 4;
        out[half - 1] = in[last] / 2 + in[2 * (half - 1)] / 2;
    }
}

/* RGB to the planes of code values of a Y'CbCr format. */
int pictures_convert(const Conversion *c) {
    int width = c->width, height = c->height, half = c->log2_width ? (width + 1) / 2 : width;
    long plane = (long)height * width;
    /* Three whole rows, and the four last rows of both chroma planes in their own width. */
    float *room = malloc(sizeof(float) * (4L * width + 8L * half));
    if (!room) return 1;
    float *lines[3] = {room, room + width, room + 2L * width}, *mixed = room + 3L * width, *ring = room + 4L * width;
    int made = 0, rows = c->log2_height ? (height + 1) / 2 : height;
    for (int m = 0; m < rows; m++) {
        int needed = !c->log2_height ? m : c->vertical == LAST ? 2 * m + 2 : 2 * m + 1;
        for (; made < height && made <= needed; made++) {
            const float *r = c->rgb + (long)made * width, *g = r + plane, *b = g + plane;
            for (int i = 0; i < 3; i++) {
                const float *f = c->matrix + 3 * i;
                float *restrict line = lines[i], f0 = f[0], f1 = f[1], f2 = f[2];
                for (int x = 0; x < width; x++) line[x] = f0 * r[x] + f1 * g[x] + f2 * b[x];
            }
            store_codes(c, 0, lines[0], (long)made * width, width);
            for (int i = 0; i < 2; i++) {
                float *to = ring + (2L * (made % 4) + i) * half;
                if (c->log2_width)
                    halve(lines[i + 1], to, width, c->horizontal);
                else
                    for (int x = 0; x < half; x++) to[x] = lines[i + 1][x];
            }
        }
        for (int i = 0; i < 2; i++) {
#define ROW(y) (ring + (2L * (clamp(y, height - 1) % 4) + i) * half)
            const float *units = ROW(m);
            if (c->log2_height) {
                const float *here = ROW(2 * m), *next = ROW(2 * m + 1);
                const float *before = ROW(m ? 2 * m - 1 : 1), *after = ROW(2 * m + 2 < height ? 2 * m + 2 : 2 * m);
                units = mixed;
                if (c->vertical == MIDDLE)
                    for (int x = 0; x < half; x++) mixed[x] = (here[x] + next[x]) / 2;
                else if (c->vertical == FIRST)
                    for (int x = 0; x < half; x++) mixed[x] = here[x] / 2 + (next[x] + before[x]) / 4;
                else
                    for (int x = 0; x < half; x++) mixed[x] = next[x] / 2 + (here[x] + after[x]) / 4;
            }
#undef ROW
            store_codes(c, i + 1, units, (long)m * half, half);
        }
    }
    free(room);
    return 0;
}
