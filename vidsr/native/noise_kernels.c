/* How noisy pictures are and how much of their fine structure is left, from the spectra of their 8x8 blocks, on a CPU.
 *
 * Pictures are as in pictures.c; values from 0 to 1. Powers are those of 8-bit code values where nothing else is said.
 */
#include <math.h>

#include "planes.h"

#define SIDE 8      /* pixels of a block */
#define HALF (SIDE / 2)
#define GRID 8      /* pixels from block to block where blocks do not overlap */
#define CODES 65025.0f /* 255 squared */

#define PADDED(width) (((long)(width) + LANES - 1) / LANES * LANES)

static int along(int length, int stride) { return (length - SIDE) / stride + 1; }

static int band_size(const int *band) {
    int count = 0;
    for (int u = 0; u < SIDE; u++)
        for (int v = 0; v < SIDE; v++) count += u + v >= band[0] && u + v < band[1];
    return count;
}

/* Sums and differences of the four pairs of values that lie opposite each other: frequencies of even numbers are weighted
 * sums of the first, those of odd numbers of the latter. */
#define FOLD(at) \
    vec even[HALF], odd[HALF]; \
    for (int i = 0; i < HALF; i++) { \
        vec a = *(const vec *)(at(i)), b = *(const vec *)(at(SIDE - 1 - i)); \
        even[i] = a + b; \
        odd[i] = a - b; \
    }

INLINE vec frequency(int u, const vec *even, const vec *odd, const float *basis) {
    const vec *half = u & 1 ? odd : even;
    const float *taps = basis + u * SIDE;
    return taps[0] * half[0] + taps[1] * half[1] + taps[2] * half[2] + taps[3] * half[3];
}

INLINE void split_row(const float *restrict row, float *restrict split, int width, int stride, long phase) {
    for (int s = 0; s < stride; s++)
        for (int x = 0; x * stride + s < width; x++) split[s * phase + x] = row[x * stride + s];
}

/* Floats of working memory that `power` takes. */
static long power_room(int width, int stride) {
    long wide = PADDED(along(width, stride));
    return width + stride * (wide + SIDE) + (long)SIDE * SIDE * wide + LANES;
}

/* Mean power, of values from 0 to 1, of those coefficients of the DCT of 8x8 blocks whose two frequencies (0 to 7) add up to
 * band[0] <= sum < band[1]. The plane is that sum of three planes that `mix` weighs. Blocks lie `stride` (which divides 8)
 * pixels apart; out is [blocks down][blocks across]. `basis` is the transform, [frequency][pixel]. */
static void power(const float *const *planes, const float *mix, float *out, int height, int width, int stride, const int *band,
                  const float *basis, float *room) {
    int down = along(height, stride), across = along(width, stride), low = band[0], high = band[1];
    int first = low > SIDE - 1 ? low - (SIDE - 1) : 0, last = high < SIDE ? high : SIDE;
    long wide = PADDED(across), phase = wide + SIDE;
    /* The row; each stride-th pixel of it in a row of its own; for the last SIDE rows the transform across of all blocks,
     * [row modulo SIDE][frequency][block]. */
    float *row = room, *split = row + width, *lines = split + stride * phase, count = (float)band_size(band);
    memset(split, 0, sizeof(float) * stride * phase);
    for (int y = 0; y < height; y++) {
        const float *restrict a = planes[0] + (long)y * width, *restrict b = planes[1] + (long)y * width;
        const float *restrict c = planes[2] + (long)y * width;
        for (int x = 0; x < width; x++) row[x] = mix[0] * a[x] + mix[1] * b[x] + mix[2] * c[x];
        if (stride == 2)
            split_row(row, split, width, 2, phase);
        else if (stride == 4)
            split_row(row, split, width, 4, phase);
        else
            split_row(row, split, width, stride, phase);
        float *line = lines + (long)(y % SIDE) * SIDE * wide;
        for (long x = 0; x < wide; x += LANES) {
#define PIXEL(k) split + (k) % stride * phase + (k) / stride + x
            FOLD(PIXEL)
#undef PIXEL
            for (int u = first; u < last; u++) *(vec *)(line + u * wide + x) = frequency(u, even, odd, basis);
        }
        int top = y - SIDE + 1;
        if (top < 0 || top % stride || top / stride >= down) continue;
        for (long x = 0; x < wide; x += LANES) {
            vec sum = {0};
            for (int u = first; u < last; u++) {
#define PIXEL(k) lines + ((long)((top + (k)) % SIDE) * SIDE + u) * wide + x
                FOLD(PIXEL)
#undef PIXEL
                for (int v = low - u < 0 ? 0 : low - u; v < SIDE && u + v < high; v++) {
                    vec found = frequency(v, even, odd, basis);
                    sum += found * found;
                }
            }
            sum /= count;
            if (x + LANES <= across)
                *(vec *)(out + x) = sum;
            else
                memcpy(out + x, &sum, sizeof(float) * (across - x));
        }
        out += across;
    }
}

/* `power` for each of `planes` planes. */
int noise_block_power(const float *in, float *out, long planes, int height, int width, int stride, int low, int high,
                      const float *basis) {
    static const float alone[3] = {1, 0, 0};
    int band[2] = {low, high};
    float *room = malloc(sizeof(float) * power_room(width, stride));
    if (!room) return 1;
    for (long p = 0; p < planes; p++, in += (long)height * width, out += (long)along(height, stride) * along(width, stride)) {
        const float *same[3] = {in, in, in};
        power(same, alone, out, height, width, stride, band, basis, room);
    }
    free(room);
    return 0;
}

/* The value at `place` (from 0) of `count` values in order, none of them negative: bit by bit the largest number that no
 * more than `place` of them are below. */
static float ranked(const float *values, long count, long place) {
    int32_t found = 0;
    for (int bit = 30; bit >= 0; bit--) {
        int32_t tried = found | (int32_t)1 << bit;
        long below = 0;
        for (long first = 0; first < count; first += 1 << 20) {
            long stop = count - first < 1 << 20 ? count : first + (1 << 20);
            int part = 0;
            for (long i = first; i < stop; i++) {
                int32_t key;
                memcpy(&key, values + i, sizeof key);
                part += key < tried;
            }
            below += part;
        }
        if (below <= place) found = tried;
    }
    float value;
    memcpy(&value, &found, sizeof value);
    return value;
}

/* What vidsr.filters.after.fidelity measures by; see there. */
typedef struct {
    double quietest, quiet;            /* shares of the blocks */
    float basis[SIDE * SIDE], luma[3]; /* the DCT; weights of R, G, B */
    float noise_ratio, texture_ratio, shown, colour_detail, shown_by_colour, damaged, intact;
    int middle[2], fine[2], finest[2]; /* bands */
} Limits;

int noise_limits_bytes(void) { return (int)sizeof(Limits); }

INLINE float unit(float value) { return value < 0 ? 0 : value > 1 ? 1 : value; }

static float strength(const float *powers, long blocks, double share, float factor) {
    return sqrtf(ranked(powers, blocks, (long)(share * (double)(blocks - 1))) * factor);
}

/* Strength of the white noise in each of three channels, 1 being full scale: out is [pictures][3]. `stride`: pixels from
 * block to block where they overlap. */
int noise_levels(const float *rgb, float *out, long pictures, int height, int width, int stride, const Limits *m) {
    static const float red[3] = {1, -1, 0}, blue[3] = {0, -1, 1};
    long plane = (long)height * width, blocks = (long)along(height, stride) * along(width, stride);
    long separate = (long)along(height, GRID) * along(width, GRID), most = power_room(width, stride);
    if (power_room(width, GRID) > most) most = power_room(width, GRID);
    float *powers = malloc(sizeof(float) * blocks), *room = malloc(sizeof(float) * most);
    int failed = !powers || !room;
    for (long n = 0; !failed && n < pictures; n++, rgb += 3 * plane, out += 3) {
        const float *planes[3] = {rgb, rgb + plane, rgb + 2 * plane};
        power(planes, m->luma, powers, height, width, stride, m->finest, m->basis, room);
        float lowest = strength(powers, blocks, m->quietest, CODES), low = strength(powers, blocks, m->quiet, CODES);
        float even = unit((m->texture_ratio - low / (lowest + 0.05f)) / (m->texture_ratio - m->noise_ratio));
        float floor = 0;
        for (int i = 0; i < 2; i++) {
            power(planes, i ? blue : red, powers, height, width, stride, m->finest, m->basis, room);
            floor += strength(powers, blocks, m->quietest, CODES * 0.5f) * 0.5f;
        }
        float beyond = floor * floor - m->colour_detail * m->colour_detail;
        float colour = sqrtf(beyond < 0 ? 0 : beyond) / m->shown_by_colour / 255;
        for (int c = 0; c < 3; c++) {
            out[c] = colour;
            if (even <= 0) continue;
            const float *same[3] = {planes[c], planes[c], planes[c]};
            static const float alone[3] = {1, 0, 0};
            power(same, alone, powers, height, width, GRID, m->finest, m->basis, room);
            float shared = strength(powers, separate, m->quietest, CODES) / m->shown * even / 255;
            if (shared > colour) out[c] = shared;
        }
    }
    free(powers);
    free(room);
    return failed;
}

/* How much of its fine structure compression has left each of `pictures` pictures of three channels, 0 to 1. */
int noise_intact(const float *rgb, float *out, long pictures, int height, int width, const Limits *m) {
    long plane = (long)height * width, blocks = (long)along(height, GRID) * along(width, GRID);
    float *middle = malloc(sizeof(float) * 2 * blocks), *room = malloc(sizeof(float) * power_room(width, GRID));
    int failed = !middle || !room;
    float *fine = middle + blocks;
    for (long n = 0; !failed && n < pictures; n++, rgb += 3 * plane) {
        const float *planes[3] = {rgb, rgb + plane, rgb + 2 * plane};
        power(planes, m->luma, middle, height, width, GRID, m->middle, m->basis, room);
        power(planes, m->luma, fine, height, width, GRID, m->fine, m->basis, room);
        float usual = ranked(middle, blocks, (blocks - 1) / 2);
        long busy = 0;
        for (long i = 0; i < blocks; i++)
            if (middle[i] >= usual) fine[busy++] = fine[i] * CODES / (middle[i] * CODES + 0.25f);
        out[n] = unit((ranked(fine, busy, (busy - 1) / 2) - m->damaged) / (m->intact - m->damaged));
    }
    free(middle);
    free(room);
    return failed;
}

/* How far planes stand out of noise: 1 - floor / power, from 0 to 1, times `shares`; the power is the mean of the squares
 * around, weighted by `taps` both ways. `floors` and `shares` are of each plane. */
int noise_above(const float *in, float *out, long planes, int height, int width, const float *taps, int count,
                   const float *floors, const float *shares) {
    int radius = count / 2;
    float *room = malloc(sizeof(float) * ((count + 1L) * width + 2 * radius));
    if (!room) return 1;
    float *line = room + (long)count * width + radius;
    const float *rows[MOST_TAPS];
    for (long p = 0; p < planes; p++, in += (long)height * width) {
        float level = floors[p], share = shares[p];
        for (int y = 0, made = 0; y < height; y++, out += width) {
            for (; made < height && made <= y + radius; made++) {
                const float *restrict from = in + (long)made * width;
                float *restrict to = room + (long)(made % count) * width;
                for (int x = 0; x < width; x++) to[x] = from[x] * from[x];
            }
            for (int k = 0; k < count; k++) rows[k] = room + (long)(clamp(y + k - radius, height - 1) % count) * width;
            combine(line, rows, taps, count, width);
            combine_across(out, line, taps, count, width);
            for (int x = 0; x < width; x++) {
                float above = 1 - level / (out[x] + 1e-12f);
                out[x] = (above < 0 ? 0 : above > 1 ? 1 : above) * share;
            }
        }
    }
    free(room);
    return 0;
}
