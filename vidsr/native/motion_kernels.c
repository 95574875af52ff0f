/* Motion on a CPU: pictures carried along it, how it is measured, and what carried pictures are used for.
 *
 * Pictures are as in pictures.c. A flow is [pictures][x, y][height][width], in pixels: where each pixel was.
 */
#include "sampling.h"

/* Each of `channels` planes of `pictures` pictures sampled at each pixel's place plus `flow` by bicubic interpolation. */
int motion_warp(const float *in, const float *flow, float *out, long pictures, int channels, int height, int width) {
    long plane = (long)height * width;
    int *ints = malloc(sizeof(int) * PLACES_INTS * width);
    float *floats = malloc(sizeof(float) * PLACES_FLOATS * width);
    int failed = !ints || !floats;
    Places places = places_in(ints, floats, width);
    for (long n = 0; !failed && n < pictures; n++, flow += 2 * plane, in += channels * plane, out += channels * plane)
        for (int y = 0; y < height; y++) {
            find_places(&places, flow, 1, y, height, width);
            for (int c = 0; c < channels; c++)
                carry_row(in + c * plane, out + c * plane + (long)y * width, &places, height, width);
        }
    free(ints);
    free(floats);
    return failed;
}

/* `out` plus `weight` times what it lacks of `in` carried along `flow`; `weight` is [pictures][low][narrow], enlarged
 * linearly. `out` is written into `result`. */
int motion_blend(const float *in, const float *flow, const float *out, const float *weight, float *result, long pictures,
                 int channels, int height, int width, int low, int narrow) {
    long plane = (long)height * width;
    int *ints = malloc(sizeof(int) * (PLACES_INTS + 2) * width);
    float *floats = malloc(sizeof(float) * ((PLACES_FLOATS + 3L) * width + narrow));
    int failed = !ints || !floats;
    Places places = places_in(ints, floats, width);
    int *restrict before = ints + (long)PLACES_INTS * width, *restrict after = before + width;
    float *restrict share = floats + (long)PLACES_FLOATS * width, *restrict weights = share + width;
    float *restrict row = weights + width, *restrict mixed = row + width;
    for (int x = 0; !failed && x < width; x++) linear_place(x, narrow, width, before + x, after + x, share + x);
    for (long n = 0; !failed && n < pictures; n++, flow += 2 * plane, weight += (long)low * narrow)
        for (int y = 0; y < height; y++) {
            int above, below;
            float part;
            linear_place(y, low, height, &above, &below, &part);
            const float *a = weight + (long)above * narrow, *b = weight + (long)below * narrow;
            for (int x = 0; x < narrow; x++) mixed[x] = (1 - part) * a[x] + part * b[x];
            for (int x = 0; x < width; x++) weights[x] = (1 - share[x]) * mixed[before[x]] + share[x] * mixed[after[x]];
            find_places(&places, flow, 1, y, height, width);
            for (int c = 0; c < channels; c++) {
                long at = (n * channels + c) * plane, line = at + (long)y * width;
                carry_row(in + at, row, &places, height, width);
                const float *restrict own = out + line;
                float *restrict made = result + line;
                for (int x = 0; x < width; x++) made[x] = own[x] + weights[x] * (row[x] - own[x]);
            }
        }
    free(ints);
    free(floats);
    return failed;
}

/* Rows of working memory begin where vectors may. */
#define PADDED(width) (((long)(width) + 15) / 16 * 16)
#define ROOM ((MOST_TAPS + 15) / 16 * 16)

/* What one least-squares correction of a flow sums over a window, for row `y`: gradients times gradients and gradients
 * times the difference of `now` and `moved`, weighted by 1 / (1 + (difference / `scale`)^2)^2. `to` is [5][PADDED(width)];
 * `middle` has room for one more pixel on either side. */
static void products(const float *now, const float *moved, int y, int height, int width, float scale,
                     float *restrict middle, float *restrict to) {
    const float *restrict a = now + (long)y * width, *restrict b = moved + (long)y * width;
    long over = y ? -width : 0, under = y < height - 1 ? width : 0;
    const float *restrict a0 = a + over, *restrict b0 = b + over, *restrict a1 = a + under, *restrict b1 = b + under;
    for (int x = 0; x < width; x++) middle[x] = (a[x] + b[x]) * 0.5f;
    repeat_ends(middle, 1, width);
    long stride = PADDED(width);
    float *restrict xx = to, *restrict xy = xx + stride, *restrict yy = xy + stride, *restrict bx = yy + stride;
    float *restrict by = bx + stride;
    for (int x = 0; x < width; x++) {
        float gx = (middle[x + 1] - middle[x - 1]) * 0.5f;
        float gy = ((a1[x] + b1[x]) * 0.5f - (a0[x] + b0[x]) * 0.5f) * 0.5f;
        float gap = a[x] - b[x], far = gap / scale, near = 1 / (1 + far * far), trust = near * near;
        xx[x] = gx * gx * trust;
        xy[x] = gx * gy * trust;
        yy[x] = gy * gy * trust;
        bx[x] = gx * gap * trust;
        by[x] = gy * gap * trust;
    }
}

/* One row of a flow corrected by the solution of those sums, `damping` added to the squares, by one pixel at most. */
static void solved(const float *restrict sums, const float *restrict x_flow, const float *restrict y_flow,
                   float *restrict out, int width, float damping) {
    long stride = PADDED(width);
    for (int i = 0; i < width; i++) {
        float xx = sums[i] + damping, xy = sums[i + stride], yy = sums[i + 2 * stride] + damping;
        float bx = sums[i + 3 * stride], by = sums[i + 4 * stride], determinant = xx * yy - xy * xy;
        float dx = (yy * bx - xy * by) / determinant, dy = (xx * by - xy * bx) / determinant;
        dx = dx < -1 ? -1 : dx > 1 ? 1 : dx;
        dy = dy < -1 ? -1 : dy > 1 ? 1 : dy;
        out[i] = x_flow[i] + dx;
        out[i + stride] = y_flow[i] + dy;
    }
}

typedef struct {
    const float *first, *second; /* [pictures][height][width] */
    float *flow;                 /* of pixels `share` of the way from the first to the second */
    const float *window, *smooth; /* odd numbers of taps: of the window, and for the flow that comes out of it */
    float share, scale, damping;
    long pictures;
    int windows, smooths, height, width, steps;
} FlowFit;

int motion_fit_bytes(void) { return (int)sizeof(FlowFit); }

/* One correction of the flow of one picture: row by row, products, their sums over the window, the flow that solves them
 * and that flow smoothed follow each other, each as soon as the rows that it needs are there. */
static void corrected(const FlowFit *f, const float *now, const float *moved, float *flow, float *room) {
    int height = f->height, width = f->width, half = f->windows / 2, radius = f->smooths / 2;
    long plane = (long)height * width, stride = PADDED(width);
    float *ring = room, *sums = ring + 5 * f->windows * stride, *made = sums + 5 * stride;
    float *line = made + 2 * f->smooths * stride + ROOM, *middle = line + stride + ROOM;
    const float *rows[MOST_TAPS];
    int measured = 0, solved_rows = 0;
    for (int y = 0; y < height; y++) {
        for (; solved_rows < height && solved_rows <= y + radius; solved_rows++) {
            for (; measured < height && measured <= solved_rows + half; measured++)
                products(now, moved, measured, height, width, f->scale, middle, ring + 5 * (measured % f->windows) * stride);
            for (int i = 0; i < 5; i++) {
                for (int k = 0; k < f->windows; k++)
                    rows[k] = ring + (5 * (clamp(solved_rows + k - half, height - 1) % f->windows) + i) * stride;
                combine(line, rows, f->window, f->windows, (int)stride);
                combine_across(sums + i * stride, line, f->window, f->windows, width);
            }
            const float *old = flow + (long)solved_rows * width;
            solved(sums, old, old + plane, made + 2 * (solved_rows % f->smooths) * stride, width, f->damping);
        }
        for (int i = 0; i < 2; i++) {
            for (int k = 0; k < f->smooths; k++)
                rows[k] = made + (2 * (clamp(y + k - radius, height - 1) % f->smooths) + i) * stride;
            combine(line, rows, f->smooth, f->smooths, (int)stride);
            combine_across(flow + i * plane + (long)y * width, line, f->smooth, f->smooths, width);
        }
    }
}

static void carry(const float *from, float *to, const float *flow, float gain, const Places *p, int height, int width) {
    for (int y = 0; y < height; y++) {
        find_places(p, flow, gain, y, height, width);
        carry_row(from, to + (long)y * width, p, height, width);
    }
}

/* `steps` corrections of a flow at one level of a pyramid. */
int motion_fit(const FlowFit *f) {
    long plane = (long)f->height * f->width, width = f->width;
    size_t size = sizeof(float) * ((5L * f->windows + 5 + 2L * f->smooths + 2) * PADDED(width) + 3 * ROOM);
    int *ints = malloc(sizeof(int) * PLACES_INTS * width);
    float *moved = malloc(sizeof(float) * 2 * plane), *floats = malloc(sizeof(float) * PLACES_FLOATS * width);
    float *room = aligned_alloc(64, size);
    int failed = !ints || !moved || !floats || !room;
    if (room) memset(room, 0, size); /* what pads the rows is computed with, too */
    Places places = places_in(ints, floats, f->width);
    for (long n = 0; !failed && n < f->pictures; n++) {
        const float *first = f->first + n * plane, *second = f->second + n * plane, *here = first;
        float *flow = f->flow + 2 * n * plane;
        for (int step = 0; step < f->steps; step++) {
            carry(second, moved, flow, 1 - f->share, &places, f->height, f->width);
            if (f->share != 0) {
                carry(first, moved + plane, flow, -f->share, &places, f->height, f->width);
                here = moved + plane;
            }
            corrected(f, here, moved, flow, room);
        }
    }
    free(ints);
    free(moved);
    free(floats);
    free(room);
    return failed;
}

/* exp(x) for x <= 0, to two units in the last place (Cephes' polynomial). */
INLINE float decay(float x) {
    x = x < -87 ? -87 : x;
    float n = x * 1.44269504f + 12582912.0f - 12582912.0f, r = x - n * 0.693359375f + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    int32_t power = ((int32_t)n + 127) * (1 << 23);
    float two;
    memcpy(&two, &power, sizeof two);
    return (p * r * r + r + 1) * two;
}

/* How well `moved` fits `own`, of one picture: exp(-(change / `scale`)^4), the change being the root of the squared
 * difference filtered by `taps` both ways. */
int motion_agreement(const float *own, const float *moved, float *out, int height, int width, const float *taps,
                     int count, float scale) {
    int radius = count / 2, made = 0;
    float *room = malloc(sizeof(float) * ((count + 1L) * width + 2 * radius)), shrink = 1 / (scale * scale);
    if (!room) return 1;
    float *line = room + (long)count * width + radius;
    const float *rows[MOST_TAPS];
    for (int y = 0; y < height; y++, out += width) {
        for (; made < height && made <= y + radius; made++) {
            const float *restrict a = own + (long)made * width, *restrict b = moved + (long)made * width;
            float *restrict to = room + (long)(made % count) * width;
            for (int x = 0; x < width; x++) to[x] = (b[x] - a[x]) * (b[x] - a[x]);
        }
        for (int k = 0; k < count; k++) rows[k] = room + (long)(clamp(y + k - radius, height - 1) % count) * width;
        combine(line, rows, taps, count, width);
        combine_across(out, line, taps, count, width);
        for (int x = 0; x < width; x++) {
            float power = out[x] * shrink;
            out[x] = decay(-power * power);
        }
    }
    free(room);
    return 0;
}

/* sums += share * plane, weights += share */
void motion_add(float *restrict sums, float *restrict weights, const float *restrict plane, const float *restrict share,
                long count) {
    for (long i = 0; i < count; i++) {
        sums[i] += share[i] * plane[i];
        weights[i] += share[i];
    }
}

/* 1 around what only `own` has, within `around` pixels, else 0; returns how many such pixels there are. A pixel is one
 * where `own` lies on the same side of both neighbours by more than `limit`, and they differ by less than `agree` of that. */
long motion_faults(const float *own, const float *before, const float *after, float *out, int height, int width,
                   float limit, float agree, int around) {
    long found = 0;
    memset(out, 0, sizeof(float) * height * width);
    for (int y = 0; y < height; y++) {
        const float *restrict o = own + (long)y * width, *restrict b = before + (long)y * width;
        const float *restrict a = after + (long)y * width;
        for (int first = 0; first < width; first += LANES) {
            int stop = first + LANES < width ? first + LANES : width, any = 0;
            uint8_t is_fault[LANES];
            for (int x = first; x < stop; x++) {
                float past = o[x] - b[x], future = o[x] - a[x], apart = b[x] - a[x];
                float p = past < 0 ? -past : past, q = future < 0 ? -future : future, beyond = p < q ? p : q;
                apart = apart < 0 ? -apart : apart;
                is_fault[x - first] = (beyond > limit) & (past * future > 0) & (apart < agree * beyond);
                any |= is_fault[x - first];
            }
            for (int x = first; any && x < stop; x++) {
                if (!is_fault[x - first]) continue;
                found++;
                for (int v = clamp(y - around, height - 1); v <= clamp(y + around, height - 1); v++)
                    for (int u = clamp(x - around, width - 1); u <= clamp(x + around, width - 1); u++)
                        out[(long)v * width + u] = 1;
            }
        }
    }
    return found;
}
