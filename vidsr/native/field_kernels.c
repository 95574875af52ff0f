/* Fields on a CPU: the missing lines of one, and measures between them.
 *
 * What the measures look at are rows of floats, `stride` floats apart. They return sums in double precision.
 */
#include "planes.h"

#include <math.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

/* The missing lines of a field; see vidsr/filters/before/field_interpolation.py. */
typedef struct {
    /* The frame, the other field before and after, the frames before and after: uint8_t, or uint16_t where `deep`. */
    const void *own, *past, *future, *before, *after;
    void *out;        /* [height][width] */
    long strides[5];  /* bytes from row to row of the five */
    float same[2], other[3], spatial[2], rounding, most;
    int height, width, parity, deep; /* made are the lines of `parity`: 0 even, 1 odd */
} Missing;

int fields_missing_bytes(void) { return (int)sizeof(Missing); }

/* A row number brought inside by steps of two. */
static int inside(int row, int last) { return row < 0 ? row & 1 : row > last ? last - ((row - last) & 1) : row; }

INLINE float larger(float a, float b) { return a > b ? a : b; }
INLINE float smaller(float a, float b) { return a < b ? a : b; }
INLINE float size_of(float a) { return a < 0 ? -a : a; }

/* Rows of floats that one missing line is made of; "over" and "under" are two lines away, "far" four. */
enum { ABOVE, BELOW, OWN_FAR, PAST, FUTURE, OVER, UNDER, FAR, BEFORE, AFTER = BEFORE + 2, ROWS = AFTER + 2 };

/* out = row, or the sum of several rows, of code values. */
INLINE void gathered(const Missing *m, const void *const *frames, const int *which, const int *rows, int count,
                     float *restrict out) {
    int last = m->height - 1, width = m->width;
    for (int k = 0; k < count; k++) {
        const char *row = (const char *)frames[which[k]] + inside(rows[k], last) * m->strides[which[k]];
        const uint16_t *restrict wide = (const uint16_t *)row;
        const uint8_t *restrict narrow = (const uint8_t *)row;
        if (k && m->deep)
            for (int x = 0; x < width; x++) out[x] += (float)wide[x];
        else if (k)
            for (int x = 0; x < width; x++) out[x] += (float)narrow[x];
        else if (m->deep)
            for (int x = 0; x < width; x++) out[x] = (float)wide[x];
        else
            for (int x = 0; x < width; x++) out[x] = (float)narrow[x];
    }
}

static void missing_line(const Missing *m, int y, float *room) {
    int width = m->width;
    float allowed = y >= 2 && y + 2 < m->height ? 1e9f : 0; /* at the very edge no vertical course is to be seen */
    const void *frames[5] = {m->own, m->past, m->future, m->before, m->after};
#define ROW(n) (room + (long)(n) * width)
#define GATHERED(n, count, ...) gathered(m, frames, (const int[]){__VA_ARGS__}, (const int[]){__VA_ARGS__} + count, count, ROW(n))
    GATHERED(ABOVE, 1, 0, y - 1);
    GATHERED(BELOW, 1, 0, y + 1);
    GATHERED(OWN_FAR, 2, 0, 0, y - 3, y + 3);
    GATHERED(PAST, 1, 1, y);
    GATHERED(FUTURE, 1, 2, y);
    GATHERED(OVER, 2, 1, 2, y - 2, y - 2);
    GATHERED(UNDER, 2, 1, 2, y + 2, y + 2);
    GATHERED(FAR, 4, 1, 2, 1, 2, y - 4, y - 4, y + 4, y + 4);
    GATHERED(BEFORE, 1, 3, y - 1);
    GATHERED(BEFORE + 1, 1, 3, y + 1);
    GATHERED(AFTER, 1, 4, y - 1);
    GATHERED(AFTER + 1, 1, 4, y + 1);
#undef GATHERED
    const float *restrict above = ROW(ABOVE), *restrict below = ROW(BELOW), *restrict own_far = ROW(OWN_FAR);
    const float *restrict past = ROW(PAST), *restrict future = ROW(FUTURE), *restrict over = ROW(OVER);
    const float *restrict under = ROW(UNDER), *restrict far = ROW(FAR), *restrict b1 = ROW(BEFORE), *restrict b2 = b1 + width;
    const float *restrict a1 = ROW(AFTER), *restrict a2 = a1 + width;
    float *restrict out = ROW(ROWS), s0 = m->same[0], s1 = m->same[1];
#undef ROW
    float t0 = m->other[0], t1 = m->other[1], t2 = m->other[2], u0 = m->spatial[0], u1 = m->spatial[1];
    float rounding = m->rounding, most = m->most;
#pragma GCC ivdep /* so many rows are not checked for overlap */
    for (int x = 0; x < width; x++) {
        float o1 = above[x], o2 = below[x], near = o1 + o2, middle = (past[x] + future[x]) / 2;
        float change = size_of(past[x] - future[x]);
        float before = (size_of(b1[x] - o1) + size_of(b2[x] - o2)) / 2;
        float after = (size_of(a1[x] - o1) + size_of(a2[x] - o2)) / 2;
        float reach = larger(larger(change / 2, larger(before, after)) - rounding, 0);
        float up = over[x] / 2 - o1, down = under[x] / 2 - o2, to_above = middle - o1, to_below = middle - o2;
        float highest = larger(larger(to_below, to_above), smaller(up, down));
        float lowest = smaller(smaller(to_below, to_above), larger(up, down));
        float wide = larger(reach, smaller(larger(lowest, -highest), allowed));
        float alone = u0 * near - u1 * own_far[x];
        float mixed = t0 * middle / 2 - t1 * (over[x] + under[x]) / 4 + t2 * far[x] / 4 + s0 * near - s1 * own_far[x];
        float guess = size_of(o1 - o2) > change ? mixed : alone;
        guess = smaller(larger(guess, middle - wide), middle + wide);
        guess = reach > 0 ? guess : middle;
        out[x] = smaller(larger(guess, 0), most) + 12582912.0f - 12582912.0f; /* rounded to the nearest */
    }
}

#if defined(__AVX2__)
/* Vectors of whole numbers of 16 bits. */
#if defined(__AVX512BW__)
typedef __m512i shorts;
#define SHORTS 32
#define OP(name) _mm512_##name
#define AND _mm512_and_si512
INLINE shorts bytes(const uint8_t *row, int x) { return _mm512_cvtepu8_epi16(_mm256_loadu_si256((const void *)(row + x))); }
INLINE shorts greater(shorts a, shorts b) { return _mm512_movm_epi16(_mm512_cmpgt_epi16_mask(a, b)); }
INLINE shorts chosen(shorts mask, shorts a, shorts b) { return _mm512_ternarylogic_epi32(mask, a, b, 0xca); }
INLINE void store_bytes(uint8_t *out, shorts a) {
    _mm256_storeu_si256((void *)out, _mm512_cvtusepi16_epi8(_mm512_max_epi16(a, _mm512_setzero_si512())));
}
#else
typedef __m256i shorts;
#define SHORTS 16
#define OP(name) _mm256_##name
#define AND _mm256_and_si256
INLINE shorts bytes(const uint8_t *row, int x) { return _mm256_cvtepu8_epi16(_mm_loadu_si128((const void *)(row + x))); }
INLINE shorts greater(shorts a, shorts b) { return _mm256_cmpgt_epi16(a, b); }
INLINE shorts chosen(shorts mask, shorts a, shorts b) { return _mm256_blendv_epi8(b, a, mask); }
INLINE void store_bytes(uint8_t *out, shorts a) {
    __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi16(a, a), 0x08);
    _mm_storeu_si128((void *)out, _mm256_castsi256_si128(packed));
}
#endif

/* The same as `missing_line` in whole numbers, for bytes: everything is exact there, too, and comes out alike. What is
 * compared is counted in halves of a code value, what is weighed in 1 / 32768. */
typedef struct {
    shorts middle, far, own_far, alone; /* pairs of weights */
    shorts rounding;
} Weights;

static shorts pair(float first, float second, float unit) {
    return OP(set1_epi32)((int)((lrintf(first * unit) & 0xffff) | (lrintf(second * unit) * 65536)));
}

/* Whether all weights are whole numbers, and bytes are asked for. */
static int weigh(const Missing *m, Weights *w) {
    const float *t = m->other, *s = m->same, *u = m->spatial, all[7] = {s[0], s[1], t[0], t[1], t[2], u[0], u[1]};
    for (int i = 0; i < 7; i++)
        if (all[i] * 8192 != rintf(all[i] * 8192) || all[i] < 0 || all[i] >= 1) return 0;
    if (m->deep || m->most != 255 || m->width < SHORTS || 2 * m->rounding != rintf(2 * m->rounding)) return 0;
    w->middle = pair(t[0], -t[1], 8192);
    w->far = pair(t[2], 4 * s[0], 8192);
    w->own_far = pair(-4 * s[1], 16383 / 8192.0f, 8192);
    w->alone = pair(4 * u[0], -4 * u[1], 8192);
    w->rounding = OP(set1_epi16)((short)(2 * m->rounding));
    return 1;
}

INLINE shorts apart(shorts a, shorts b) { return OP(abs_epi16)(OP(sub_epi16)(a, b)); }
INLINE shorts plus(shorts a, shorts b) { return OP(add_epi16)(a, b); }
INLINE shorts minus(shorts a, shorts b) { return OP(sub_epi16)(a, b); }
INLINE shorts most_of(shorts a, shorts b) { return OP(max_epi16)(a, b); }
INLINE shorts least_of(shorts a, shorts b) { return OP(min_epi16)(a, b); }

/* Halves to the nearest whole number, or to the even one of two. */
INLINE shorts from_halves(shorts a) {
    return OP(srai_epi16)(plus(a, AND(OP(srai_epi16)(a, 1), OP(set1_epi16)(1))), 1);
}

/* The same for 1 / 32768, which hold 16383 more. */
INLINE shorts from_parts(shorts a) {
    shorts odd = AND(OP(srli_epi32)(OP(sub_epi32)(a, OP(set1_epi32)(16383)), 15), OP(set1_epi32)(1));
    return OP(srai_epi32)(OP(add_epi32)(a, odd), 15);
}

static void missing_bytes(const Missing *m, const Weights *w, int y, uint8_t *out) {
    const void *frames[5] = {m->own, m->past, m->future, m->before, m->after};
#define LINE(f, d) ((const uint8_t *)frames[f] + inside(y + d, m->height - 1) * m->strides[f])
    const uint8_t *own0 = LINE(0, -3), *own1 = LINE(0, -1), *own2 = LINE(0, 1), *own3 = LINE(0, 3);
    const uint8_t *past0 = LINE(1, -4), *past1 = LINE(1, -2), *past2 = LINE(1, 0), *past3 = LINE(1, 2), *past4 = LINE(1, 4);
    const uint8_t *next0 = LINE(2, -4), *next1 = LINE(2, -2), *next2 = LINE(2, 0), *next3 = LINE(2, 2), *next4 = LINE(2, 4);
    const uint8_t *before1 = LINE(3, -1), *before2 = LINE(3, 1), *after1 = LINE(4, -1), *after2 = LINE(4, 1);
#undef LINE
    shorts zero = OP(set1_epi16)(0), one = OP(set1_epi16)(1);
    shorts allowed = y >= 2 && y + 2 < m->height ? OP(set1_epi16)(32767) : zero;
    for (int x = 0; x < m->width; x += SHORTS) {
        if (x + SHORTS > m->width) x = m->width - SHORTS; /* the last ones once more */
        shorts o1 = bytes(own1, x), o2 = bytes(own2, x), p = bytes(past2, x), f = bytes(next2, x);
        shorts over = plus(bytes(past1, x), bytes(next1, x)), under = plus(bytes(past3, x), bytes(next3, x));
        shorts middle = plus(p, f), change = apart(p, f), near = plus(o1, o2);
        shorts before = plus(apart(bytes(before1, x), o1), apart(bytes(before2, x), o2));
        shorts after = plus(apart(bytes(after1, x), o1), apart(bytes(after2, x), o2));
        shorts reach = most_of(minus(most_of(change, most_of(before, after)), w->rounding), zero);
        shorts twice1 = plus(o1, o1), twice2 = plus(o2, o2), up = minus(over, twice1), down = minus(under, twice2);
        shorts to_above = minus(middle, twice1), to_below = minus(middle, twice2);
        shorts highest = most_of(most_of(to_below, to_above), least_of(up, down));
        shorts lowest = least_of(least_of(to_below, to_above), most_of(up, down));
        shorts wide = most_of(reach, least_of(most_of(lowest, minus(zero, highest)), allowed));

        shorts both = plus(over, under), own_far = plus(bytes(own0, x), bytes(own3, x));
        shorts far = plus(plus(bytes(past0, x), bytes(next0, x)), plus(bytes(past4, x), bytes(next4, x)));
        shorts in_time = greater(apart(o1, o2), change), halves[2];
#define HALF(n, unpack)                                                                                                \
    {                                                                                                                  \
        shorts alone = OP(madd_epi16)(unpack(near, own_far), w->alone), total = OP(madd_epi16)(unpack(far, near), w->far); \
        total = OP(add_epi32)(total, OP(madd_epi16)(unpack(middle, both), w->middle));                                 \
        total = OP(add_epi32)(total, OP(madd_epi16)(unpack(own_far, one), w->own_far));                                \
        alone = OP(add_epi32)(alone, OP(set1_epi32)(16383));                                                           \
        halves[n] = from_parts(chosen(unpack(in_time, in_time), total, alone));                                        \
    }
        HALF(0, OP(unpacklo_epi16))
        HALF(1, OP(unpackhi_epi16))
#undef HALF
        shorts guess = OP(packs_epi32)(halves[0], halves[1]);
        guess = least_of(most_of(guess, from_halves(minus(middle, wide))), from_halves(plus(middle, wide)));
        guess = chosen(greater(reach, zero), guess, from_halves(middle));
        store_bytes(out + x, guess);
    }
}
#endif

/* `own` with the lines of `parity` made anew; at least two lines. 1 without memory. */
int fields_missing(const Missing *m) {
    long width = m->width, row = width * (m->deep ? 2 : 1);
    float *room = malloc(sizeof(float) * (ROWS + 1) * width), *restrict made = room + ROWS * width;
    if (!room) return 1;
#if defined(__AVX2__)
    Weights weights;
    int whole = weigh(m, &weights);
#endif
    for (int y = 0; y < m->height; y++) {
        char *out = (char *)m->out + y * row;
        uint16_t *restrict wide = (uint16_t *)out;
        uint8_t *restrict narrow = (uint8_t *)out;
        if (y % 2 != m->parity) {
            memcpy(out, (const char *)m->own + y * m->strides[0], row);
            continue;
        }
#if defined(__AVX2__)
        if (whole) {
            missing_bytes(m, &weights, y, narrow);
            continue;
        }
#endif
        missing_line(m, y, room);
        if (m->deep)
            for (int x = 0; x < width; x++) wide[x] = (uint16_t)(int)made[x];
        else
            for (int x = 0; x < width; x++) narrow[x] = (uint8_t)(int)made[x];
    }
    free(room);
    return 0;
}

static double sum_of(const float *row, int width) {
    vec total = {0};
    int x = 0;
    for (; x + LANES <= width; x += LANES) total += *(const vec *)(row + x);
    double sum = 0;
    for (int i = 0; i < LANES; i++) sum += (double)((const float *)&total)[i];
    for (; x < width; x++) sum += (double)row[x];
    return sum;
}

/* How far `line` lies outside the range of its neighbours, beyond `tolerance`. */
INLINE float sticking_out(float line, float above, float below, float tolerance) {
    float over = larger(line - larger(above, below), smaller(above, below) - line) - tolerance;
    return larger(over, 0);
}

/* Of the lines woven from two fields of `lines` each, all but the outer two. -1 without memory. */
double fields_comb(const float *top, long top_stride, const float *bottom, long bottom_stride, int lines, int width,
                   float tolerance) {
    float *restrict out = malloc(sizeof(float) * width);
    double sum = 0;
    if (!out) return -1;
    for (int k = 0; k + 1 < lines; k++) {
        const float *restrict t = top + k * top_stride, *restrict next_t = t + top_stride;
        const float *restrict b = bottom + k * bottom_stride, *restrict next_b = b + bottom_stride;
        for (int x = 0; x < width; x++)
            out[x] = sticking_out(b[x], t[x], next_t[x], tolerance) + sticking_out(next_t[x], b[x], next_b[x], tolerance);
        sum += sum_of(out, width);
    }
    free(out);
    return sum;
}

/* The same between columns. */
double fields_detail(const float *picture, long stride, int height, int width, float tolerance) {
    float *restrict out = malloc(sizeof(float) * width);
    double sum = 0;
    if (!out) return -1;
    for (int y = 0; y < height; y++) {
        const float *restrict row = picture + y * stride;
        for (int x = 1; x < width - 1; x++) out[x - 1] = sticking_out(row[x], row[x - 1], row[x + 1], tolerance);
        sum += sum_of(out, width - 2);
    }
    free(out);
    return sum;
}

/* Adds the differences of even lines, of odd lines, and both as far as they are beyond `tolerance`, to sums[4]. 1 without
 * memory. */
int fields_change(const float *before, long before_stride, const float *now, long now_stride, int height, int width,
                  float tolerance, double *sums) {
    float *restrict all = malloc(sizeof(float) * 2 * width), *restrict clear = all + width;
    if (!all) return 1;
    for (int y = 0; y < height; y++) {
        const float *restrict a = before + y * before_stride, *restrict b = now + y * now_stride;
        for (int x = 0; x < width; x++) {
            all[x] = size_of(b[x] - a[x]);
            clear[x] = larger(all[x] - tolerance, 0);
        }
        sums[y % 2] += sum_of(all, width);
        sums[2 + y % 2] += sum_of(clear, width);
    }
    free(all);
    return 0;
}
