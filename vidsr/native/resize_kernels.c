/* Planes of floats resized by any ratio on a CPU.
 *
 * Each side is described by what every output pixel weighs. Where the ratio is up : down in small whole numbers, every
 * up-th output pixel weighs its surroundings alike and lies `down` input pixels further: such a phase is computed in whole
 * vectors, from rows of every down-th input pixel. Pixels near the borders, and sides of other ratios, go one by one.
 */
#include "planes.h"

typedef struct {
    const int *start;     /* [out]: first input pixel that it weighs */
    const float *weights; /* [out][taps] */
    int taps, in, out;
    int up, down;  /* the ratio; up is 0 where there are no phases */
    int low, high; /* output pixels from `low` to before `high` weigh as their phase does */
} Side;

int resize_side_bytes(void) { return (int)sizeof(Side); }

INLINE void spread(const float *restrict from, float *restrict to, int count, int stride) {
    for (int m = 0; m < count; m++) to[m * stride] = from[m];
}

/* Every stride-th of `count` pixels. */
INLINE void gather(const float *restrict from, float *restrict to, int count, int stride) {
    for (int m = 0; m < count; m++) to[m] = from[m * stride];
}

static long slot(const Side *s) { return s->in / (s->up ? s->down : 1) + 2L * (s->taps + 2) + LANES; }

/* Floats of working memory for `across`. */
static long room_for(const Side *s) { return s->up ? s->down * slot(s) + s->out / s->up + LANES : 0; }

static void one_by_one(const Side *s, const float *in, float *out, int from, int to) {
    for (int x = from; x < to; x++) {
        const float *row = in + s->start[x], *w = s->weights + (long)x * s->taps;
        float sum = w[0] * row[0];
        for (int k = 1; k < s->taps; k++) sum += w[k] * row[k];
        out[x] = sum;
    }
}

/* One row. `room` holds zeros where nothing has been written. */
static void across(const Side *s, const float *in, float *out, float *room) {
    if (!s->up) {
        one_by_one(s, in, out, 0, s->out);
        return;
    }
    int up = s->up, down = s->down, margin = s->taps + 2, count = s->out / up, middle = (s->low + s->high) / 2 / up;
    float *phase = room + down * slot(s);
    for (int q = 0; q < down; q++) {
        float *to = room + q * slot(s) + margin;
        if (down == 1)
            memcpy(to, in, sizeof(float) * count);
        else if (down == 2)
            gather(in + q, to, count, 2);
        else
            gather(in + q, to, count, down);
    }
    for (int p = 0; p < up; p++) {
        const float *rows[MOST_TAPS];
        int pixel = middle * up + p, first = s->start[pixel] - middle * down;
        for (int k = 0; k < s->taps; k++) {
            int at = first + k, q = (at % down + down) % down;
            rows[k] = room + q * slot(s) + margin + (at - q) / down;
        }
        combine(up == 1 ? out : phase, rows, s->weights + (long)pixel * s->taps, s->taps, count);
        if (up == 2)
            spread(phase, out + p, count, 2);
        else if (up > 1)
            spread(phase, out + p, count, up);
    }
    one_by_one(s, in, out, 0, s->low);
    one_by_one(s, in, out, s->high, s->out);
}

/* `in` [planes][down->in][side->in] to `out` [planes][down->out][side->out]. */
int resize_planes(const float *in, float *out, long planes, const Side *down, const Side *side) {
    int first_across = down->out > down->in, taps = down->taps, width = first_across ? side->out : side->in;
    float *room = calloc(room_for(side) + (first_across ? (long)taps * width : width) + LANES, sizeof(float));
    if (!room) return 1;
    float *lines = room + room_for(side);
    for (long p = 0; p < planes; p++, in += (long)down->in * side->in) {
        int made = 0; /* rows resized across, each at its number modulo `taps` */
        for (int y = 0; y < down->out; y++, out += side->out) {
            const float *rows[MOST_TAPS], *weights = down->weights + (long)y * taps;
            int start = down->start[y];
            for (; first_across && made < start + taps; made++)
                across(side, in + (long)made * side->in, lines + (long)(made % taps) * width, room);
            for (int k = 0; k < taps; k++)
                rows[k] = first_across ? lines + (long)((start + k) % taps) * width : in + (long)(start + k) * width;
            combine(first_across ? out : lines, rows, weights, taps, width);
            if (!first_across) across(side, lines, out, room);
        }
    }
    free(room);
    return 0;
}
