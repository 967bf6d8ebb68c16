// One step of the rows of a block, T steps forwards, and T steps backwards.

// The sums of R rows and W units (panel by panel, so that the weights of a panel are read once for R rows), and the step.
template <class Cell, int R>
SEPARATE void few_rows(const Sequence& s, const float* panel, const float* bias, const float* joined, const Place* places) {
  const int64_t units = s.units, width = units + s.inputs;
  Vec sums[R][Cell::SLOTS];
  for (int r = 0; r < R; r++)
    for (int g = 0; g < Cell::SLOTS; g++) sums[r][g] = load(bias + g * W);
  const float* w = panel;
  for (int64_t k = 0; k < units; k++, w += Cell::BLOCKS * W)
    for (int g = 0; g < Cell::BLOCKS; g++) {
      const Vec weight = held(load(w + g * W));
      for (int r = 0; r < R; r++) sums[r][Cell::FROM_HIDDEN + g] += joined[r * width + k] * weight;
    }
  for (int64_t k = units; k < width; k++, w += Cell::BLOCKS * W)
    for (int g = 0; g < Cell::BLOCKS; g++) {
      const Vec weight = held(load(w + g * W));
      for (int r = 0; r < R; r++) sums[r][Cell::FROM_INPUT + g] += joined[r * width + k] * weight;
    }
  Cell::step(sums, places, units);
}

// The hidden or cell state of row b before step t: after a reset, at the `start`, or (`last`) after step t - 1.
INLINE const float* before(const Sequence& s, int64_t t, int64_t b, const float* reset, const float* start,
                           const float* last) {
  if (s.first[t * s.rows + b]) return reset;
  return (t ? last : start) + b * s.units;
}

// A row of `joined`: the hidden state before step t of row b, and its inputs.
INLINE void join(const Sequence& s, int64_t t, int64_t b, float* joined) {
  memcpy(joined, before(s, t, b, s.initial_hidden, s.hidden, s.output + (t - 1) * s.rows * s.units), sizeof(float) * s.units);
  memcpy(joined + s.units, s.x + (t * s.rows + b) * s.inputs, sizeof(float) * s.inputs);
}

// Step t of rows [begin, end), at most BLOCK.
template <class Cell>
static void step(const Sequence& s, int64_t t, int64_t begin, int64_t end) {
  const int64_t units = s.units, width = units + s.inputs, at = t * s.rows;
  float* output = s.output + at * units;
  float* cells = Cell::CELL ? s.cells + (s.gates ? at : 0) * units : nullptr;
  for (int64_t b = begin; b < end; b++) {
    join(s, t, b, s.joined + (b - begin) * width);
    if (Cell::CELL) {
      const float* from = before(s, t, b, s.initial_cell, s.cell, s.gates ? cells - s.rows * units : cells);
      if (from != cells + b * units) memcpy(cells + b * units, from, sizeof(float) * units);
    }
  }
  const float* bias = s.weights + Cell::BLOCKS * units * width;
  for (int64_t j = 0; j < units; j += W) {
    const float* panel = s.weights + Cell::BLOCKS * width * j;
    for (int64_t b = begin; b < end;) {
      const int64_t left = end - b;
      Place places[Cell::R];
      for (int64_t r = 0; r < Cell::R && r < left; r++) {
        const int64_t row = b + r;
        places[r] = {s.joined + (row - begin) * width + j, Cell::CELL ? cells + row * units + j : nullptr,
                     s.recall ? s.recall + (at + row) * units + j : nullptr, output + row * units + j,
                     s.gates ? s.gates + (at + row) * Cell::TAPE * units + j : nullptr};
      }
      const float *slots = bias + Cell::SLOTS * j, *from = s.joined + (b - begin) * width;
      if (left >= Cell::R) few_rows<Cell, Cell::R>(s, panel, slots, from, places), b += Cell::R;
      else if (left >= 2) few_rows<Cell, 2>(s, panel, slots, from, places), b += 2;
      else few_rows<Cell, 1>(s, panel, slots, from, places), b += 1;
    }
  }
}

// A block of rows goes through all steps before the next one begins: what it reads again is still in the cache.
template <class Cell>
static void forward(const Sequence& s) {
  for (int64_t begin = 0; begin < s.rows; begin += BLOCK)
    for (int64_t t = 0; t < s.steps; t++) step<Cell>(s, t, begin, begin + BLOCK < s.rows ? begin + BLOCK : s.rows);
}

// out [R, N * W] += a [R, depth] w [depth, N * W]
template <int R, int N>
SEPARATE void tile(const float* a, int64_t a_stride, int64_t depth, const float* w, float* out, int64_t out_stride) {
  Vec sums[R][N];
  for (int r = 0; r < R; r++)
    for (int n = 0; n < N; n++) sums[r][n] = load(out + r * out_stride + n * W);
  for (int64_t k = 0; k < depth; k++, w += N * W) {
    Vec weights[N];
    for (int n = 0; n < N; n++) weights[n] = held(load(w + n * W));
    for (int r = 0; r < R; r++) {
      const Vec slope = held(a[r * a_stride + k] - Vec{});
      for (int n = 0; n < N; n++) sums[r][n] += slope * weights[n];
    }
  }
  for (int r = 0; r < R; r++)
    for (int n = 0; n < N; n++) store(out + r * out_stride + n * W, sums[r][n]);
}

template <int N>
static void tiles(int64_t rows, const float* a, int64_t a_stride, int64_t depth, const float* w, float* out, int64_t out_stride) {
  int64_t r = 0;
  for (; r + ROWS_BACK <= rows; r += ROWS_BACK)
    tile<ROWS_BACK, N>(a + r * a_stride, a_stride, depth, w, out + r * out_stride, out_stride);
  for (; r < rows; r++) tile<1, N>(a + r * a_stride, a_stride, depth, w, out + r * out_stride, out_stride);
}

// out [rows, columns] += a [rows, depth] w, the latter in panels of at most three vectors (see pack_back).
static void product(int64_t rows, const float* a, int64_t a_stride, int64_t depth, const float* w, float* out, int64_t columns) {
  for (int64_t j = 0; j < columns; j += 3 * W) {
    const int64_t vectors = (columns - j) / W;
    const float* panel = w + j * depth;
    if (vectors >= 3) tiles<3>(rows, a, a_stride, depth, panel, out + j, columns);
    else if (vectors == 2) tiles<2>(rows, a, a_stride, depth, panel, out + j, columns);
    else tiles<1>(rows, a, a_stride, depth, panel, out + j, columns);
  }
}

// D rows of a weight's gradient, N vectors: += over `rows` of joined [.., D] times sums [.., N * W].
template <int D, int N>
SEPARATE void gradient(int64_t rows, const float* joined, int64_t stride, const float* sums, int64_t sums_stride, float* out,
                       int64_t out_stride) {
  Vec total[D][N];
  for (int d = 0; d < D; d++)
    for (int n = 0; n < N; n++) total[d][n] = load(out + d * out_stride + n * W);
  for (int64_t r = 0; r < rows; r++, joined += stride, sums += sums_stride) {
    Vec slopes[N];
    for (int n = 0; n < N; n++) slopes[n] = held(load(sums + n * W));
    for (int d = 0; d < D; d++) {
      const Vec input = held(joined[d] - Vec{});
      for (int n = 0; n < N; n++) total[d][n] += input * slopes[n];
    }
  }
  for (int d = 0; d < D; d++)
    for (int n = 0; n < N; n++) store(out + d * out_stride + n * W, total[d][n]);
}

// Gradients of weights [count, N * W] of `count` inputs that begin at `joined`.
template <int N>
static void gradients(int64_t rows, int64_t count, const float* joined, int64_t stride, const float* sums, int64_t sums_stride,
                      float* out, int64_t out_stride) {
  int64_t k = 0;
  for (; k + DEPTH <= count; k += DEPTH)
    gradient<DEPTH, N>(rows, joined + k, stride, sums, sums_stride, out + k * out_stride, out_stride);
  for (; k < count; k++) gradient<1, N>(rows, joined + k, stride, sums, sums_stride, out + k * out_stride, out_stride);
}

// What `rows` of `joined` and of the sums' gradients in `work` add to the gradients of weights and biases.
template <class Cell>
static void add_gradients(const Sequence& s, const Backward& d, int64_t rows) {
  const int64_t units = s.units, width = units + s.inputs, stride = Cell::SLOTS * units, columns = Cell::BLOCKS * units;
  for (int part = 0; part < 2; part++) {
    const int64_t from = (part ? Cell::FROM_INPUT : Cell::FROM_HIDDEN) * units;
    const int64_t skip = part ? units : 0, count = part ? s.inputs : units;
    for (int64_t j = 0; j < columns; j += 3 * W) {
      const int64_t vectors = (columns - j) / W, at = from + j;
      const float *sums = d.work + at, *joined = s.joined + skip;
      float* out = d.by_weights + skip * stride + at;
      if (vectors >= 3) gradients<3>(rows, count, joined, width, sums, stride, out, stride);
      else if (vectors == 2) gradients<2>(rows, count, joined, width, sums, stride, out, stride);
      else gradients<1>(rows, count, joined, width, sums, stride, out, stride);
    }
  }
  float* by_bias = d.by_weights + width * stride;
  for (int64_t j = 0; j < stride; j += W) {
    Vec total = load(by_bias + j);
    for (int64_t m = 0; m < rows; m++) total += load(d.work + m * stride + j);
    store(by_bias + j, total);
  }
}

template <class Cell>
static void backward(const Sequence& s, const Backward& d) {
  const int64_t units = s.units, width = units + s.inputs, sums_stride = Cell::SLOTS * units;
  const int64_t depth = Cell::BLOCKS * units, padded = (s.inputs + PAD - 1) / PAD * PAD;
  memset(d.by_weights, 0, sizeof(float) * (width + 1) * sums_stride);
  memset(d.by_initial, 0, sizeof(float) * 2 * units);
  memset(d.by_hidden, 0, sizeof(float) * s.rows * units);
  memset(d.by_cell, 0, sizeof(float) * s.rows * units);
  for (int64_t begin = 0; begin < s.rows; begin += BLOCK) {
    const int64_t rows = s.rows - begin < BLOCK ? s.rows - begin : BLOCK;
    float *by_hidden = d.by_hidden + begin * units, *by_cell = d.by_cell + begin * units;
    for (int64_t t = s.steps - 1; t >= 0; t--) {
      const int64_t at = t * s.rows + begin;
      float *sums = d.work + t % CHUNK * rows * sums_stride, *joined = s.joined + t % CHUNK * rows * width;
      for (int64_t r = 0; r < rows; r++) {
        const int64_t m = at + r;
        join(s, t, begin + r, joined + r * width);
        const float* cell_before =
            Cell::CELL ? before(s, t, begin + r, s.initial_cell, s.cell, s.cells + (t - 1) * s.rows * units) : nullptr;
        for (int64_t j = 0; j < units; j += W) {
          store(by_hidden + r * units + j, load(by_hidden + r * units + j) + load(d.by_output + m * units + j));
          Cell::back({s.gates + m * Cell::TAPE * units + j, joined + r * width + j, Cell::CELL ? cell_before + j : nullptr,
                      Cell::CELL ? s.cells + m * units + j : nullptr, s.recall ? s.recall + m * units + j : nullptr,
                      by_hidden + r * units + j, by_cell + r * units + j, sums + r * sums_stride + j,
                      d.by_recall ? d.by_recall + m * units + j : nullptr}, units);
        }
      }
      product(rows, sums + Cell::FROM_HIDDEN * units, sums_stride, depth, d.weights, by_hidden, units);
      if (d.by_x) {
        memset(d.by_x + at * padded, 0, sizeof(float) * rows * padded);
        product(rows, sums + Cell::FROM_INPUT * units, sums_stride, depth, d.weights + depth * units, d.by_x + at * padded, padded);
      }
      for (int64_t r = 0; r < rows; r++)
        if (s.first[at + r])
          for (int64_t j = 0; j < units; j += W) {
            float *h = by_hidden + r * units + j, *c = by_cell + r * units + j, *i = d.by_initial + j;
            store(i, load(i) + load(h));
            store(i + units, load(i + units) + load(c));
            store(h, Vec{});
            store(c, Vec{});
          }
      if (t % CHUNK == 0) add_gradients<Cell>(s, d, (s.steps - t < CHUNK ? s.steps - t : CHUNK) * rows);
    }
  }
}
