/* What happens to pictures around the network on a CPU: filters, resampling, code values.
 *
 * A picture is a number of planes of floats, [planes][height][width], one after the other. Borders repeat. Each function
 * runs in the thread that calls it and writes every value by the same sequence of operations wherever it lies, so results
 * depend on neither threads nor batches. Those that need working memory return 1 where there is none, and 0 otherwise.
 */
#include "planes.h"

#define CUBIC 5 /* taps of a phase of bicubic enlargement */

/* Filtered by odd numbers of taps, at most MOST_TAPS, down and across; or, where `base` is not NULL, `base` minus that. */
int pictures_filter(const float *in, const float *base, float *out, long planes, int height, int width, const float *down,
                    int downs, const float *across, int acrosses) {
    int over = downs / 2, beside = acrosses / 2;
    float *room = malloc(sizeof(float) * (width + 2 * beside)), *row = room + beside;
    if (!room) return 1;
    for (long p = 0; p < planes; p++, in += (long)height * width)
        for (int y = 0; y < height; y++, out += width) {
            const float *rows[MOST_TAPS];
            for (int k = 0; k < downs; k++) rows[k] = in + (long)clamp(y + k - over, height - 1) * width;
            combine(row, rows, down, downs, width);
            combine_across(out, row, across, acrosses, width);
            for (int x = 0; base && x < width; x++) out[x] = base[x] - out[x];
            if (base) base += width;
        }
    free(room);
    return 0;
}

INLINE void average(const float *row, float *out, int columns, int ratio, float share) {
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

/* Resized linearly, places outside as those at the border; `gains` is what each of `channels` planes is multiplied with. */
int pictures_linear(const float *restrict in, float *restrict out, long pictures, int channels, int height, int width, int rows, int columns,
                    const float *gains) {
    int *ints = malloc(sizeof(int) * 2 * columns);
    float *floats = malloc(sizeof(float) * ((long)columns + width + 2));
    int failed = !ints || !floats;
    int *before = ints, *after = ints + columns;
    float *share = floats, *mixed = floats + columns + 1;
    for (int x = 0; !failed && x < columns; x++) linear_place(x, width, columns, before + x, after + x, share + x);
    for (long p = 0; !failed && p < pictures * channels; p++, in += (long)height * width) {
        float gain = gains[p % channels];
        for (int y = 0; y < rows; y++, out += columns) {
            int above, below;
            float part;
            linear_place(y, height, rows, &above, &below, &part);
            const float *a = in + (long)above * width, *b = in + (long)below * width;
            for (int x = 0; x < width; x++) mixed[x] = ((1 - part) * a[x] + part * b[x]) * gain;
            if (columns == 2 * width) { /* the same, in whole vectors */
                repeat_ends(mixed, 1, width);
                for (int x = 0; x < width; x++) {
                    out[2 * x] = 0.25f * mixed[x - 1] + 0.75f * mixed[x];
                    out[2 * x + 1] = 0.75f * mixed[x] + 0.25f * mixed[x + 1];
                }
            } else if (2 * columns == width)
                for (int x = 0; x < columns; x++) out[x] = 0.5f * mixed[2 * x] + 0.5f * mixed[2 * x + 1];
            else
                for (int x = 0; x < columns; x++) out[x] = (1 - share[x]) * mixed[before[x]] + share[x] * mixed[after[x]];
        }
    }
    free(ints);
    free(floats);
    return failed;
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

INLINE float code(float unit, float factor, float offset, float dither, float most) {
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

/* A row of code values, (code - offset) / factor. */
INLINE void units_of(const void *codes, int deep, float *restrict out, int width, float factor, float offset) {
    if (deep) {
        const uint16_t *in = codes;
        for (int x = 0; x < width; x++) out[x] = ((float)in[x] - offset) / factor;
    } else {
        const uint8_t *in = codes;
        for (int x = 0; x < width; x++) out[x] = ((float)in[x] - offset) / factor;
    }
}

/* A plane of code values, uint8_t or uint16_t where `deep`, whose rows are `stride` bytes apart. */
void pictures_units(const void *codes, long stride, int deep, float *out, int height, int width, float factor,
                    float offset) {
    for (int y = 0; y < height; y++)
        units_of((const char *)codes + y * stride, deep, out + (long)y * width, width, factor, offset);
}

/* The inverse of `pictures_units` for offset 0, rounded and clamped to 0 to `most`. */
void pictures_codes(const float *restrict units, void *codes, long count, int deep, float factor, float most) {
    uint16_t *restrict wide = codes;
    uint8_t *restrict narrow = codes;
    if (deep)
        for (long i = 0; i < count; i++) wide[i] = (uint16_t)(int)code(units[i], factor, 0, 0, most);
    else
        for (long i = 0; i < count; i++) narrow[i] = (uint8_t)(int)code(units[i], factor, 0, 0, most);
}

/* The sum of a plane of code values, whose rows are `stride` bytes apart. */
long pictures_sum(const void *codes, long stride, int deep, int height, int width) {
    long sum = 0;
    for (int y = 0; y < height; y++) {
        const uint8_t *row = (const uint8_t *)codes + y * stride;
        const uint16_t *wide = (const uint16_t *)row;
        unsigned line = 0; /* holds 65536 of the largest codes */
        for (int first = 0; first < width; first += 65536, sum += line, line = 0) {
            int stop = width - first < 65536 ? width : first + 65536;
            if (deep)
                for (int x = first; x < stop; x++) line += wide[x];
            else
                for (int x = first; x < stop; x++) line += row[x];
        }
    }
    return sum;
}

/* Each code value replaced by what `table` holds for it; one of 16 bits beyond `last`, which damaged frames may have, as
 * `last`. A table for bytes holds 256. */
void pictures_look_up(const void *codes, long stride, int deep, const void *restrict table, int last, void *restrict out,
                      int height, int width) {
    const uint8_t *restrict narrow = table;
    const uint16_t *restrict wide = table;
    for (int y = 0; y < height; y++) {
        const uint8_t *row = (const uint8_t *)codes + y * stride;
        if (deep)
            for (int x = 0; x < width; x++)
                ((uint16_t *)out)[(long)y * width + x] = wide[clamp(((const uint16_t *)row)[x], last)];
        else
            for (int x = 0; x < width; x++) ((uint8_t *)out)[(long)y * width + x] = narrow[row[x]];
    }
}

typedef struct {
    const void *planes[3]; /* Y, Cb, Cr: uint8_t, or uint16_t where `deep` */
    float *rgb;            /* [3][height][width] */
    float matrix[9];       /* Y, Cb, Cr to RGB */
    float factor[3], offset[3];
    int height, width;
    int log2_height, log2_width; /* of the chroma planes: 0 or 1 */
    int vertical, horizontal;    /* FIRST, MIDDLE or LAST */
    int deep;
} Reading;

int pictures_reading_bytes(void) { return (int)sizeof(Reading); }

/* One row of chroma, to twice its width, linearly between its samples' places; `width` is the large one, and
 * `in` has room for one more sample on either side. */
static void twice(float *restrict in, float *restrict out, int width, int position) {
    int half = (width + 1) / 2;
    repeat_ends(in, 1, half);
    for (int x = 0; x < half && position == FIRST; x++) {
        out[2 * x] = in[x];
        out[2 * x + 1] = (in[x] + in[x + 1]) / 2;
    }
    for (int x = 0; x < half && position == MIDDLE; x++) {
        out[2 * x] = (3 * in[x] + in[x - 1]) / 4;
        out[2 * x + 1] = (3 * in[x] + in[x + 1]) / 4;
    }
    for (int x = 0; x < half && position == LAST; x++) {
        out[2 * x] = (in[x - 1] + in[x]) / 2;
        out[2 * x + 1] = in[x];
    }
}

/* Planes of code values of a Y'CbCr format to RGB, not clamped. */
int pictures_read(const Reading *c) {
    int width = c->width, height = c->height, half = c->log2_width ? (width + 1) / 2 : width;
    int rows = c->log2_height ? (height + 1) / 2 : height, size = c->deep ? 2 : 1;
    long plane = (long)height * width;
    float *room = malloc(sizeof(float) * (3L * width + 5 + 2L * half));
    if (!room) return 1;
    float *luma = room, *lines[2] = {room + width, room + 2L * width + 1}, *row = room + 3L * width + 3;
    for (int y = 0; y < height; y++) {
        units_of((const char *)c->planes[0] + (long)y * width * size, c->deep, luma, width, c->factor[0], c->offset[0]);
        for (int i = 0; i < 2; i++) {
            const char *codes = c->planes[i + 1];
            float *restrict here = c->log2_width ? row : lines[i], *restrict other = row + half + 1;
            float factor = c->factor[i + 1], offset = c->offset[i + 1];
            int m = c->log2_height ? y / 2 : y, odd = y % 2;
            units_of(codes + (long)m * half * size, c->deep, here, half, factor, offset);
            if (c->log2_height && c->vertical != (odd ? LAST : FIRST)) {
                int near = clamp(odd ? m + 1 : m - 1, rows - 1);
                units_of(codes + (long)near * half * size, c->deep, other, half, factor, offset);
                if (c->vertical == MIDDLE)
                    for (int x = 0; x < half; x++) here[x] = (3 * here[x] + other[x]) / 4;
                else
                    for (int x = 0; x < half; x++) here[x] = (here[x] + other[x]) / 2;
            }
            if (c->log2_width) twice(here, lines[i], width, c->horizontal);
        }
        for (int i = 0; i < 3; i++) {
            const float *f = c->matrix + 3 * i, *restrict cb = lines[0], *restrict cr = lines[1];
            float *restrict out = c->rgb + i * plane + (long)y * width, f0 = f[0], f1 = f[1], f2 = f[2];
            for (int x = 0; x < width; x++) out[x] = f0 * luma[x] + f1 * cb[x] + f2 * cr[x];
        }
    }
    free(room);
    return 0;
}

/* out = w[0] * red + w[1] * green + w[2] * blue of `pictures` pictures. */
void pictures_mix(const float *restrict in, float *restrict out, long pictures, long plane, const float *w) {
    for (long n = 0; n < pictures; n++, in += 3 * plane, out += plane) {
        const float *restrict r = in, *restrict g = in + plane, *restrict b = in + 2 * plane;
        float w0 = w[0], w1 = w[1], w2 = w[2];
        for (long i = 0; i < plane; i++) out[i] = r[i] * w0 + g[i] * w1 + b[i] * w2;
    }
}

/* `out` filtered down and across by an odd number of taps, one row of it: `y` of a plane. `line` has room for the taps. */
static void filtered_row(const float *plane, float *out, int y, int height, int width, const float *taps, int count, float *line) {
    const float *rows[MOST_TAPS];
    for (int k = 0; k < count; k++) rows[k] = plane + (long)clamp(y + k - count / 2, height - 1) * width;
    combine(line, rows, taps, count, width);
    combine_across(out, line, taps, count, width);
}

/* Low frequencies of pictures of three channels: blurred by the `coarse` taps; or, as far as `whole` (0 to 1, one for each
 * picture) says, the mean of the channels by those and what they differ from it by the `fine` taps. */
int pictures_low_frequencies(const float *in, float *out, long pictures, int height, int width, const float *coarse,
                             int coarses, const float *fine, int fines, const float *whole) {
    int most = coarses > fines ? coarses : fines;
    long plane = (long)height * width;
    float *room = malloc(sizeof(float) * (7L * width + most)), *line = room + 6L * width + most / 2;
    if (!room) return 1;
    for (long n = 0; n < pictures; n++, in += 3 * plane, out += 3 * plane)
        for (int y = 0; y < height; y++) {
            float share = whole[n], *wide[3], *narrow[3];
            for (int c = 0; c < 3; c++) {
                wide[c] = share > 0 ? room + (long)c * width : out + c * plane + (long)y * width;
                narrow[c] = room + (3L + c) * width;
                filtered_row(in + c * plane, wide[c], y, height, width, coarse, coarses, line);
                if (share > 0) filtered_row(in + c * plane, narrow[c], y, height, width, fine, fines, line);
            }
            if (!(share > 0)) continue;
            const float *restrict w0 = wide[0], *restrict w1 = wide[1], *restrict w2 = wide[2];
            const float *restrict n0 = narrow[0], *restrict n1 = narrow[1], *restrict n2 = narrow[2];
            float *restrict o0 = out + (long)y * width, *restrict o1 = o0 + plane, *restrict o2 = o1 + plane;
            for (int x = 0; x < width; x++) {
                float light = ((w0[x] - n0[x]) + (w1[x] - n1[x]) + (w2[x] - n2[x])) / 3;
                o0[x] = w0[x] + share * (n0[x] + light - w0[x]);
                o1[x] = w1[x] + share * (n1[x] + light - w1[x]);
                o2[x] = w2[x] + share * (n2[x] + light - w2[x]);
            }
        }
    free(room);
    return 0;
}

/* Whether the three channels of every pixel differ by less than `limit`. */
int pictures_neutral(const float *rgb, long plane, float limit) {
    const float *restrict r = rgb, *restrict g = rgb + plane, *restrict b = rgb + 2 * plane;
    for (long first = 0; first < plane; first += 1024) {
        long stop = plane - first < 1024 ? plane : first + 1024;
        int apart = 0;
        for (long x = first; x < stop; x++) {
            float high = r[x] > g[x] ? r[x] : g[x], low = r[x] > g[x] ? g[x] : r[x];
            high = high > b[x] ? high : b[x];
            low = low < b[x] ? low : b[x];
            apart |= !(high - low < limit);
        }
        if (apart) return 0;
    }
    return 1;
}
