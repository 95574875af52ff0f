/* The missing lines of a field out of candidates carried along the motion; see vidsr/filters/before/carried_fields.py.
 *
 * Runs in the thread that calls it. Each value is made by the same sequence of operations wherever it lies.
 */
#include "planes.h"

#define CANDIDATES 7
#define FEATURES 21 /* the candidates, four lines of the field, eight differences of neighbours to its lines, two phases */
#define HIDDEN 16
#define GATES 8 /* one for each candidate, and what is added to their sum */
#define RING 3  /* rows that a 3x3 window sees */
#define STEP (2 * LANES)
#define GAIN 16.0f /* full scale, in units of the features */
#define LARGEST 4.0f
#define FRESH 20.0f
#define WITHIN 0.7f

typedef int mask __attribute__((vector_size(4 * LANES), may_alias));

/* All pictures are [height][width], 0 to 1. Weights lie as [input][output]. */
typedef struct {
    const float *now, *before, *after, *moved_before, *moved_after;
    const float *phase_before, *phase_after; /* [lines of `parity`][width] */
    float *out; /* [lines of `parity`][width] */
    const float *first, *first_bias, *window, *second, *second_bias, *gates, *gates_bias;
    float still; /* changes up to this are none */
    int height, width, parity;
} CarriedFields;

int carried_bytes(void) { return (int)sizeof(CarriedFields); }

static int inside(int row, int last) { return row < 0 ? row & 1 : row > last ? last - ((row - last) & 1) : row; }

INLINE float size_of(float a) { return a < 0 ? -a : a; }
INLINE float larger(float a, float b) { return a > b ? a : b; }
INLINE float smaller(float a, float b) { return a < b ? a : b; }

/* out[o] = bias[o] + sum over i of weights[i][o] * in[i], for rows of `padded` floats; leaky where `leak` is below 1. */
INLINE void mixed(const float *in, int ins, const float *weights, const float *bias, int outs, float *out, int padded,
                  long stride, float leak) {
    for (int x = 0; x < padded; x += STEP)
        for (int o = 0; o < outs; o += 4) {
            vec sum[4][2];
            for (int k = 0; k < 4; k++) sum[k][0] = sum[k][1] = bias[o + k] - (vec){0};
            for (int i = 0; i < ins; i++) {
                vec a = *(const vec *)(in + (long)i * padded + x), b = *(const vec *)(in + (long)i * padded + x + LANES);
                const float *w = weights + i * outs + o;
                for (int k = 0; k < 4; k++) {
                    sum[k][0] += w[k] * a;
                    sum[k][1] += w[k] * b;
                }
            }
            for (int k = 0; k < 4; k++) {
                float *to = out + (long)(o + k) * stride + x;
                for (int v = 0; v < 2; v++) {
                    vec value = sum[k][v], scaled = leak * value;
                    mask over = value > scaled;
                    *(vec *)(to + v * LANES) = (vec)((over & (mask)value) | (~over & (mask)scaled));
                }
            }
        }
}

/* The candidates of a line, less what one field and its neighbours give, which is the eighth row; and what they are
 * chosen by. */
static void features(const CarriedFields *c, int y, float *restrict kept, float *restrict seen, int padded) {
    int last = c->height - 1, width = c->width;
#define LINE(picture, offset) (c->picture + (long)inside(y + (offset), last) * width)
    const float *now = LINE(now, 0), *o0 = LINE(now, -3), *o1 = LINE(now, -1), *o2 = LINE(now, 1), *o3 = LINE(now, 3);
    const float *p = LINE(moved_before, 0), *p1 = LINE(moved_before, -1), *p2 = LINE(moved_before, 1);
    const float *q = LINE(moved_after, 0), *q1 = LINE(moved_after, -1), *q2 = LINE(moved_after, 1);
    const float *u = LINE(before, 0), *u1 = LINE(before, -1), *u2 = LINE(before, 1);
    const float *v = LINE(after, 0), *v1 = LINE(after, -1), *v2 = LINE(after, 1);
#undef LINE
    const float *r = c->phase_before + (long)(y / 2) * width, *s = c->phase_after + (long)(y / 2) * width;
    for (int x = 0; x < width; x++) {
        float b = now[x], e0 = p1[x] - o1[x], e1 = p2[x] - o2[x], e2 = q1[x] - o1[x], e3 = q2[x] - o2[x];
        float f[FEATURES] = {p[x] - b,
                             q[x] - b,
                             u[x] - b,
                             v[x] - b,
                             p[x] - (e0 + e1) * 0.5f - b,
                             q[x] - (e2 + e3) * 0.5f - b,
                             (9.0f * (o1[x] + o2[x]) - (o0[x] + o3[x])) * 0.0625f - b,
                             o0[x] - b,
                             o1[x] - b,
                             o2[x] - b,
                             o3[x] - b,
                             e0,
                             e1,
                             e2,
                             e3,
                             u1[x] - o1[x],
                             u2[x] - o2[x],
                             v1[x] - o1[x],
                             v2[x] - o2[x],
                             r[x],
                             s[x]};
        for (int i = 0; i < CANDIDATES; i++) kept[(long)i * padded + x] = f[i];
        kept[(long)CANDIDATES * padded + x] = b;
        float most = larger(larger(size_of(f[15]), size_of(f[16])), larger(size_of(f[17]), size_of(f[18])));
        kept[(long)(CANDIDATES + 1) * padded + x] = larger(most, size_of(u[x] - v[x]));
        for (int i = 0; i < FEATURES; i++) {
            float value = f[i] * GAIN, size = size_of(value);
            seen[(long)i * padded + x] = value < -LARGEST ? -LARGEST : smaller(value, LARGEST);
            seen[(long)(FEATURES + i) * padded + x] = smaller(size, LARGEST);
        }
    }
}

/* out[x] = sum over the 3x3 window of three rows, which have room for one value on either side. */
INLINE void windowed(const float *const *rows, const float *taps, float *out, int padded) {
    for (int x = 0; x < padded; x += LANES) {
        vec sum = taps[0] * *(const vec *)(rows[0] + x - 1);
        for (int k = 1; k < 9; k++) sum += taps[k] * *(const vec *)(rows[k / 3] + x + k % 3 - 1);
        *(vec *)(out + x) = sum;
    }
}

int carried_lines(const CarriedFields *c) {
    int width = c->width, padded = (width + STEP - 1) / STEP * STEP, lines = (c->height - c->parity + 1) / 2;
    long stride = padded + 2 * LANES, kept_rows = CANDIDATES + 2;
    long sizes[] = {2 * FEATURES * padded, RING * kept_rows * padded, RING * HIDDEN * stride, HIDDEN * padded,
                    HIDDEN * padded, GATES * padded};
    long total = 0;
    for (int k = 0; k < 6; k++) total += sizes[k];
    float *room = calloc(total, sizeof(float));
    if (!room) return 1;
    float *seen = room, *kept = seen + sizes[0], *hidden = kept + sizes[1], *spread = hidden + sizes[2];
    float *second = spread + sizes[3], *gates = second + sizes[4];
    for (int line = 0, made = 0; line < lines; line++) {
        for (; made < lines && made <= line + 1; made++) {
            features(c, 2 * made + c->parity, kept + made % RING * kept_rows * padded, seen, padded);
            float *to = hidden + made % RING * HIDDEN * stride + LANES;
            mixed(seen, 2 * FEATURES, c->first, c->first_bias, HIDDEN, to, padded, stride, 0.1f);
            for (int k = 0; k < HIDDEN; k++) repeat_ends(to + k * stride, 1, width);
        }
        for (int k = 0; k < HIDDEN; k++) {
            const float *rows[RING];
            for (int r = 0; r < RING; r++)
                rows[r] = hidden + (clamp(line + r - 1, lines - 1) % RING * HIDDEN + k) * stride + LANES;
            windowed(rows, c->window + 9 * k, spread + (long)k * padded, padded);
        }
        mixed(spread, HIDDEN, c->second, c->second_bias, HIDDEN, second, padded, padded, 0.1f);
        mixed(second, HIDDEN, c->gates, c->gates_bias, GATES, gates, padded, padded, 1);
        const float *f = kept + line % RING * kept_rows * padded;
        float *restrict out = c->out + (long)line * width;
        for (int x = 0; x < width; x++) {
            float sum = gates[(long)CANDIDATES * padded + x] / GAIN;
            for (int i = 0; i < CANDIDATES; i++) sum += gates[(long)i * padded + x] * f[(long)i * padded + x];
            /* Where neighbours hold nothing new, towards interpolation within the field. */
            float phase = larger(c->phase_before[(long)line * width + x], c->phase_after[(long)line * width + x]);
            float fresh = smaller(larger((phase + 0.125f) * FRESH, 0.0f), 1.0f);
            sum = fresh * sum + (1.0f - fresh) * (WITHIN * f[(long)(CANDIDATES - 1) * padded + x]);
            float base = f[(long)CANDIDATES * padded + x], change = f[(long)(CANDIDATES + 1) * padded + x];
            float value = change <= c->still ? base : base + sum;
            out[x] = smaller(larger(value, 0.0f), 1.0f);
        }
    }
    free(room);
    return 0;
}
