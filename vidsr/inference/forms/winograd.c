/* 3x3 convolutions of a whole network on a CPU, in fp32, by Winograd's minimal filtering F(6x6, 3x3).
 *
 * Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016; interpolation points
 * 0, +-1, +-2, +-1/2, infinity. One output tile of 6x6 pixels takes 64 multiplications per pair of channels instead
 * of 324.
 *
 * Pictures lie in memory tile by tile, as they are computed: [tiles][channels / LANES][6][6][LANES], a tile of zeros
 * after the last, which stands for all that is outside; pixels of border tiles beyond the picture are zero too. Per
 * block of tiles and chunk of input channels, which together stay in a core's cache: transform the input, 64 matrix
 * products; then transform the output, with bias, leaky ReLU and residuals while the values are in registers. A
 * network is an array of layers, run by a few threads with a barrier between layers. No result depends on the number
 * of threads or the size of blocks.
 *
 * A layer may end in a pixel shuffle: its output channels are four groups, one for each pixel of 2x2, and its target is
 * twice as high and as wide as what it computes.
 *
 * Channel counts: `cin` and `cout` multiples of WIDE, `stored` a multiple of LANES; of 4 LANES for a shuffled layer. Input
 * channels from `depth` on have no weight and are left out: a first layer reads 3 channels, not WIDE.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* LANES: floats of a vector. ROWS: tiles that are multiplied together, or a multiple of STEP where fewer are left. BLOCK:
 * tiles that are transformed together. */
#if defined(__AVX512F__)
#define LANES 16
#define ROWS 12
#define STEP 4
#define BLOCK 12
#elif defined(__AVX__)
#define LANES 8
#define ROWS 6
#define STEP 2
#define BLOCK 6 /* L2 is smaller on these processors, and often shared by two threads */
#else
#define LANES 4
#define ROWS 8
#define STEP 4
#define BLOCK 12
#endif

#define OUT 6
#define IN 8
#define FREQUENCIES (IN * IN)
#define WIDE (2 * LANES)
#define TILE (OUT * OUT * LANES) /* floats of LANES channels of a tile */
#define LINE 16 /* floats of a cache line */
#define AHEAD 2048 /* floats by which weights, which are read in one long stream, are fetched before they are needed */
#define PAD 32 /* floats between frequency planes, so that they do not share cache sets */

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int ivec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

typedef struct {
    float *data;
    long stride; /* floats from tile to tile */
    int height, width;
} Picture;

typedef struct {
    Picture source, target;
    Picture residual[2]; /* added after the activation, times their scale, where data is not NULL */
    const float *weights; /* chunk by chunk of input channels: [64][cout / WIDE][chunk][WIDE] */
    const float *bias;    /* [cout] */
    const float *slope;   /* [cout]: factor of negative values; 1 is no activation */
    float scale[2];
    int cin, depth, cout, stored;
    int chunk;   /* input channels that are transformed together, a multiple of WIDE; the last chunk can be smaller */
    int doubled; /* read the source as if each of its pixels were 2x2 */
    int skipped; /* rows of the source above the first */
    int shuffled; /* store channels [4][stored / 4] as 2x2 pixels: top left, top right, bottom left, bottom right */
} Layer;

int winograd_lanes(void) { return LANES; }
int winograd_layer_bytes(void) { return (int)sizeof(Layer); }

static long plane_floats(int channels) { return (long)BLOCK * channels + PAD; }

static inline vec load(const float *p) { return *(const vec *)p; }
static inline void store(float *p, vec v) { *(vec *)p = v; }

/* Ask for memory that will be read soon, line by line. An address beyond the picture does no harm. */
static inline __attribute__((always_inline)) void fetch(const float *from, int floats) {
    for (int i = 0; i < floats; i += LINE) __builtin_prefetch(from + i, 0, 2);
}

/* B^T d for one line of eight. */
static inline void input_line(vec *out, vec d0, vec d1, vec d2, vec d3, vec d4, vec d5, vec d6, vec d7) {
    vec even, odd;
    out[0] = d6 - d0 + 5.25f * (d2 - d4);
    even = d6 + d2 - 4.25f * d4, odd = d5 + d1 - 4.25f * d3;
    out[1] = even + odd;
    out[2] = even - odd;
    even = d6 - 1.25f * d4 + 0.25f * d2, odd = 2.0f * d5 - 2.5f * d3 + 0.5f * d1;
    out[3] = even + odd;
    out[4] = even - odd;
    even = d6 - 5.0f * d4 + 4.0f * d2, odd = 0.5f * d5 - 2.5f * d3 + 2.0f * d1;
    out[5] = even + odd;
    out[6] = even - odd;
    out[7] = d7 - d1 + 5.25f * (d3 - d5);
}

/* A^T m for one line of eight. */
static inline void output_line(vec *out, vec m0, vec m1, vec m2, vec m3, vec m4, vec m5, vec m6, vec m7) {
    vec s1 = m1 + m2, q1 = m1 - m2, s2 = m3 + m4, q2 = m3 - m4, s3 = m5 + m6, q3 = m5 - m6;
    out[0] = m0 + s1 + s2 + s3;
    out[1] = q1 + 2.0f * q2 + 0.5f * q3;
    out[2] = s1 + 4.0f * s2 + 0.25f * s3;
    out[3] = q1 + 8.0f * q2 + 0.125f * q3;
    out[4] = s1 + 16.0f * s2 + 0.0625f * s3;
    out[5] = q1 + 32.0f * q2 + 0.03125f * q3 + m7;
}

static int tiles_along(int length) { return (length + OUT - 1) / OUT; }

/* Rows and columns that a layer computes. */
static int rows_of(const Layer *l) { return l->target.height >> l->shuffled; }
static int columns_of(const Layer *l) { return l->target.width >> l->shuffled; }

/* The place of a source pixel; outside the picture, one of the tile of zeros. */
static const float *pixel(const Picture *p, int y, int x) {
    int across = tiles_along(p->width);
    if (y < 0 || y >= p->height || x < 0 || x >= p->width) return p->data + tiles_along(p->height) * across * p->stride;
    return p->data + (y / OUT * across + x / OUT) * p->stride + (y % OUT * OUT + x % OUT) * LANES;
}

/* `count` channels of one tile from `first` on, into v: [64 planes][count / WIDE][BLOCK][WIDE], at the tile's place.
 * `aligned`: the layer's tiles are the source's, so that the pixels lie in 3x3 tiles at fixed places. */
static inline __attribute__((always_inline)) void transform_tile(const Layer *l, int tile, int first, int count,
                                                                 float *v, long plane, int aligned) {
    int across = tiles_along(columns_of(l)), top = tile / across * OUT, left = tile % across * OUT;
    const float *near[3][3], *at[IN][IN];
    if (aligned) {
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 3; j++)
                near[i][j] = pixel(&l->source, top + (i - 1) * OUT, left + (j - 1) * OUT) + first / LANES * TILE;
    } else {
        for (int i = 0; i < IN; i++)
            for (int j = 0; j < IN; j++)
                at[i][j] = pixel(&l->source, ((top + i - 1) >> l->doubled) + l->skipped, (left + j - 1) >> l->doubled) +
                           first / LANES * TILE;
    }
#define PIXEL(i, j) \
    load((aligned ? near[(i + OUT - 1) / OUT][(j + OUT - 1) / OUT] + \
                        ((i + OUT - 1) % OUT * OUT + (j + OUT - 1) % OUT) * LANES \
                  : at[i][j]) + c / LANES * TILE)
    for (int c = 0; c < count; c += LANES) {
        vec half[IN][IN] __attribute__((aligned(64)));
#pragma GCC unroll 8
        for (int j = 0; j < IN; j++) {
            vec line[IN];
            input_line(line, PIXEL(0, j), PIXEL(1, j), PIXEL(2, j), PIXEL(3, j), PIXEL(4, j), PIXEL(5, j), PIXEL(6, j),
                       PIXEL(7, j));
            for (int i = 0; i < IN; i++) half[i][j] = line[i];
        }
        float *group = v + c / WIDE * BLOCK * WIDE + c % WIDE;
        if (aligned) { /* the next tile is there already: this one reads its first column */
            const float *below = near[2][1] + 2 * l->source.stride + c / LANES * TILE;
            const float *above = near[0][1] + 2 * l->source.stride + c / LANES * TILE + (OUT - 1) * OUT * LANES;
            fetch(near[1][1] + 2 * l->source.stride + c / LANES * TILE, TILE);
            fetch(above, OUT * LANES);
            fetch(below, OUT * LANES);
        }
        for (int i = 0; i < IN; i++) {
            vec line[IN], *h = half[i];
            input_line(line, h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]);
            for (int j = 0; j < IN; j++) store(group + (i * IN + j) * plane, line[j]);
        }
    }
#undef PIXEL
}

static void transform_input(const Layer *l, int tile, int first, int count, float *v, long plane) {
    if (l->doubled || l->skipped)
        transform_tile(l, tile, first, count, v, plane, 0);
    else
        transform_tile(l, tile, first, count, v, plane, 1);
}

static void transform_output(const Layer *l, int tile, const float *m, long plane) {
    int across = tiles_along(columns_of(l)), top = tile / across * OUT, left = tile % across * OUT;
    int rows = rows_of(l) - top, columns = columns_of(l) - left, quarter = l->stored / 4;
    for (int c = 0; c < l->stored; c += LANES) {
        vec half[OUT][IN] __attribute__((aligned(64))), bias = load(l->bias + c), slope = load(l->slope + c);
        for (int j = 0; j < IN; j++) {
            vec line[OUT];
            const float *p = m + j * plane + c;
            output_line(line, load(p), load(p + 8 * plane), load(p + 16 * plane), load(p + 24 * plane),
                        load(p + 32 * plane), load(p + 40 * plane), load(p + 48 * plane), load(p + 56 * plane));
            for (int i = 0; i < OUT; i++) half[i][j] = line[i];
        }
        for (int i = 0; i < OUT && i < rows; i++) {
            vec line[OUT], *h = half[i];
            output_line(line, h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]);
            for (int j = 0; j < OUT && j < columns; j++) {
                long at = c / LANES * TILE + (i * OUT + j) * LANES;
                vec y = line[j] + bias;
                ivec positive = y > 0.0f;
                y = (vec)((ivec)y & positive) + slope * (vec)((ivec)y & ~positive);
                for (int r = 0; r < 2; r++)
                    if (l->residual[r].data)
                        y += l->scale[r] * load(l->residual[r].data + tile * l->residual[r].stride + at);
                if (l->shuffled) {
                    int phase = c / quarter, row = 2 * (top + i) + phase / 2, column = 2 * (left + j) + phase % 2;
                    store((float *)pixel(&l->target, row, column) + c % quarter / LANES * TILE, y);
                } else
                    store(l->target.data + tile * l->target.stride + at, y);
            }
        }
    }
}

/* rows x 2 vectors of m (+)= v u, or the first of the two: v is [groups of WIDE channels][rows][WIDE], u is
 * [channels][WIDE]. */
static inline __attribute__((always_inline)) void multiply(int rows, int both, int more, const float *v, long group,
                                                           int channels, const float *u, float *m, long cout) {
    vec sum[ROWS][2];
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++) {
        sum[r][0] = more ? load(m + r * cout) : (vec){0};
        if (both) sum[r][1] = more ? load(m + r * cout + LANES) : (vec){0};
    }
    for (int left = channels; left > 0; left -= WIDE, v += group, u += WIDE * WIDE)
        for (int k = 0; k < WIDE && k < left; k++) {
            for (int i = 0; i < WIDE; i += LINE) __builtin_prefetch(u + WIDE * k + i + AHEAD, 0, 3);
            vec u0 = load(u + WIDE * k), u1 = both ? load(u + WIDE * k + LANES) : u0;
#pragma GCC unroll 16
            for (int r = 0; r < rows; r++) {
                float x = v[r * WIDE + k];
                sum[r][0] += x * u0;
                if (both) sum[r][1] += x * u1;
            }
        }
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++) {
        store(m + r * cout, sum[r][0]);
        if (both) store(m + r * cout + LANES, sum[r][1]);
    }
}

/* All 64 products of `count` tiles and the first `used` of `channels` input channels, added to m where there is `more` in
 * it. */
static void multiply_all(const Layer *l, int more, int count, int channels, int used, const float *u, const float *v,
                         float *m) {
    long v_plane = plane_floats(l->chunk), m_plane = plane_floats(l->cout);
    long group = BLOCK * WIDE;
    for (int f = 0; f < FREQUENCIES; f++)
        for (int c = 0; c < l->cout; c += WIDE, u += (long)channels * WIDE)
            for (int t = 0; t < count; t += ROWS) {
                const float *from = v + f * v_plane + (long)t * WIDE;
                float *to = m + f * m_plane + (long)t * l->cout + c;
                int rows = count - t <= STEP ? STEP : count - t <= 2 * STEP ? 2 * STEP : ROWS;
                int both = l->stored - c > LANES; /* else the second vector is never read */
#define WHERE(r, b) if (rows == (r) && both == (b)) multiply(r, b, more, from, group, used, u, to, l->cout)
                WHERE(ROWS, 1);
                else WHERE(2 * STEP, 1);
                else WHERE(STEP, 1);
                else WHERE(ROWS, 0);
                else WHERE(2 * STEP, 0);
                else WHERE(STEP, 0);
#undef WHERE
            }
}

static void run_block(const Layer *l, int number, int tiles, float *scratch) {
    int start = number * BLOCK, count = tiles - start < BLOCK ? tiles - start : BLOCK;
    long v_plane = plane_floats(l->chunk), m_plane = plane_floats(l->cout);
    float *m = scratch, *v = scratch + FREQUENCIES * m_plane;
    for (int first = 0; first < l->depth; first += l->chunk) {
        int channels = l->cin - first < l->chunk ? l->cin - first : l->chunk;
        int used = l->depth - first < channels ? l->depth - first : channels;
        const float *u = l->weights + (long)FREQUENCIES * first * l->cout;
        for (int t = 0; t < count; t++) transform_input(l, start + t, first, used, v + (long)t * WIDE, v_plane);
        if (first)
            multiply_all(l, 1, count, channels, used, u, v, m);
        else
            multiply_all(l, 0, count, channels, used, u, v, m);
    }
    for (int t = 0; t < count; t++) transform_output(l, start + t, m + (long)t * l->cout, m_plane);
}

/* `count` planes, [count][height][width], as channels of a picture; those that fill up the last group are zero. */
void winograd_put(const Picture *p, const float *planes, int count) {
    int down = tiles_along(p->height), across = tiles_along(p->width);
    long plane = (long)p->height * p->width;
    for (int tile = 0; tile < down * across; tile++) {
        int top = tile / across * OUT, left = tile % across * OUT;
        for (int c = 0; c < count; c += LANES) {
            float *to = p->data + tile * p->stride + c / LANES * TILE;
            int here = count - c < LANES ? count - c : LANES;
            for (int i = 0; i < OUT * OUT; i++) {
                int y = top + i / OUT, x = left + i % OUT;
                store(to + (long)i * LANES, (vec){0});
                if (y < p->height && x < p->width)
                    for (int k = 0; k < here; k++) to[i * LANES + k] = planes[(c + k) * plane + (long)y * p->width + x];
            }
        }
    }
}

/* `rows` rows of a picture, from `first` on, to planes: each `scale` x `scale` channels become the pixels of one plane. `base`,
 * where it is not NULL, is added with its pixels repeated; it begins at `first`, too. Planes lie `out_plane` and `base_plane`
 * floats apart. */
void winograd_get(const Picture *p, const float *base, long base_plane, float *out, long out_plane, int channels, int scale,
                  int first, int rows) {
    int across = tiles_along(p->width);
    long wide = (long)p->width * scale;
    for (int y = first; y < first + rows; y++)
        for (int n = 0; n < channels * scale * scale; n++) {
            int c = n / (scale * scale), row = n / scale % scale, column = n % scale;
            const float *from = p->data + y / OUT * across * p->stride + n / LANES * TILE + y % OUT * OUT * LANES + n % LANES;
            const float *under = base ? base + c * base_plane + (long)(y - first) * p->width : NULL;
            float *to = out + c * out_plane + ((long)(y - first) * scale + row) * wide + column;
            for (int x = 0, end; x < p->width; x = end, from += p->stride) {
                end = x + OUT < p->width ? x + OUT : p->width;
                for (int i = x; i < end; i++)
                    to[(long)i * scale] = (under ? under[i] : 0) + from[(i - x) * LANES];
            }
        }
}

/* Weights [9][cin][cout] to the form that a layer takes, in double precision. */
void winograd_pack(const float *from, float *to, int cin, int cout, int chunk) {
    static const double g[IN][3] = {{-1, 0, 0}, {-2 / 9.0, -2 / 9.0, -2 / 9.0}, {-2 / 9.0, 2 / 9.0, -2 / 9.0},
                                    {1 / 90.0, 1 / 45.0, 2 / 45.0}, {1 / 90.0, -1 / 45.0, 2 / 45.0},
                                    {32 / 45.0, 16 / 45.0, 8 / 45.0}, {32 / 45.0, -16 / 45.0, 8 / 45.0}, {0, 0, 1}};
    for (int panel = 0; panel < cout; panel += WIDE)
        for (int k = 0; k < cin; k++) {
            int first = k / chunk * chunk, channels = cin - first < chunk ? cin - first : chunk;
            double half[IN][3][WIDE];
            const float *w = from + (long)k * cout + panel;
            long tap = (long)cin * cout;
            for (int i = 0; i < IN; i++)
                for (int b = 0; b < 3; b++)
                    for (int n = 0; n < WIDE; n++)
                        half[i][b][n] = g[i][0] * w[b * tap + n] + g[i][1] * w[(3 + b) * tap + n] + g[i][2] * w[(6 + b) * tap + n];
            for (int i = 0; i < IN; i++)
                for (int j = 0; j < IN; j++) {
                    float *u = to + (long)FREQUENCIES * first * cout +
                               ((long)(i * IN + j) * cout + panel) * channels + (long)(k - first) * WIDE;
                    for (int n = 0; n < WIDE; n++)
                        u[n] = (float)(g[j][0] * half[i][0][n] + g[j][1] * half[i][1][n] + g[j][2] * half[i][2][n]);
                }
        }
}

/* Floats of working memory per thread. */
long winograd_scratch_floats(const Layer *layers, int count) {
    long most = 0;
    for (int i = 0; i < count; i++) {
        long floats = FREQUENCIES * (plane_floats(layers[i].cout) + plane_floats(layers[i].chunk));
        if (floats > most) most = floats;
    }
    return most;
}

typedef struct {
    const Layer *layers;
    int count;
    float *scratch;
    long scratch_floats;
    atomic_int started;
    atomic_int *next; /* the next block of each layer */
    pthread_mutex_t gate; /* held until it is known how many threads there are */
    pthread_barrier_t barrier;
} Work;

static void *run_layers(void *argument) {
    Work *w = argument;
    float *scratch = w->scratch + atomic_fetch_add(&w->started, 1) * w->scratch_floats;
    pthread_mutex_lock(&w->gate);
    pthread_mutex_unlock(&w->gate);
    for (int i = 0; i < w->count; i++) {
        const Layer *l = &w->layers[i];
        int tiles = tiles_along(columns_of(l)) * tiles_along(rows_of(l)), number;
        while ((number = atomic_fetch_add(&w->next[i], 1)) * BLOCK < tiles) run_block(l, number, tiles, scratch);
        pthread_barrier_wait(&w->barrier);
    }
    return NULL;
}

/* Run `count` layers one after the other on `threads` threads, each with its part of `scratch`. 0, or 1 where memory
 * ran out. */
int winograd_run(const Layer *layers, int count, int threads, float *scratch) {
    Work w = {.layers = layers, .count = count, .scratch = scratch};
    w.scratch_floats = winograd_scratch_floats(layers, count);
    w.next = calloc(count, sizeof(atomic_int));
    pthread_t *others = calloc(threads, sizeof(pthread_t));
    int made = 0, status = 1;
    if (!w.next || !others) goto end;
    pthread_mutex_init(&w.gate, NULL);
    pthread_mutex_lock(&w.gate);
    while (made < threads - 1 && !pthread_create(&others[made], NULL, run_layers, &w)) made++;
    pthread_barrier_init(&w.barrier, NULL, made + 1);
    pthread_mutex_unlock(&w.gate);
    run_layers(&w);
    for (int i = 0; i < made; i++) pthread_join(others[i], NULL);
    pthread_barrier_destroy(&w.barrier);
    pthread_mutex_destroy(&w.gate);
    status = 0;
end:
    free(w.next);
    free(others);
    return status;
}
