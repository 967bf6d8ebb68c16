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

// Step t of rows [begin, end). Whoever calls has put the inputs into `joined`; the state before the step is put there.
template <class Cell>
static void step(const Sequence& s, int64_t t, int64_t begin, int64_t end) {
  const int64_t units = s.units, width = units + s.inputs, at = t * s.rows, kept = s.gates ? at : 0;
  float *joined = s.joined + kept * width, *output = s.output + at * units;
  float* cells = Cell::CELL ? s.cells + kept * units : nullptr;
  const bool carried = t > 0;
  const float* hidden = carried ? output - s.rows * units : s.hidden;
  const float* cell = !Cell::CELL ? nullptr : !carried ? s.cell : s.gates ? cells - s.rows * units : cells;
  for (int64_t b = begin; b < end; b++) {
    const bool fresh = s.first && s.first[at + b];
    memcpy(joined + b * width, fresh ? s.initial_hidden : hidden + b * units, sizeof(float) * units);
    if (Cell::CELL) {
      const float* from = fresh ? s.initial_cell : cell + b * units;
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
        places[r] = {joined + row * width + j, Cell::CELL ? cells + row * units + j : nullptr,
                     s.recall ? s.recall + (at + row) * units + j : nullptr, output + row * units + j,
                     s.gates ? s.gates + (at + row) * Cell::TAPE * units + j : nullptr};
      }
      const float *slots = bias + Cell::SLOTS * j, *from = joined + b * width;
      if (left >= Cell::R) few_rows<Cell, Cell::R>(s, panel, slots, from, places), b += Cell::R;
      else if (left >= 2) few_rows<Cell, 2>(s, panel, slots, from, places), b += 2;
      else few_rows<Cell, 1>(s, panel, slots, from, places), b += 1;
    }
  }
}

// A block of rows goes through all steps before the next one begins: what it reads again is still in the cache.
template <class Cell>
static void forward(const Sequence& s) {
  const int64_t width = s.units + s.inputs;
  for (int64_t begin = 0; begin < s.rows; begin += BLOCK) {
    const int64_t end = begin + BLOCK < s.rows ? begin + BLOCK : s.rows;
    for (int64_t t = 0; t < s.steps; t++) {
      float* joined = s.joined + (s.gates ? t * s.rows * width : 0);
      for (int64_t b = begin; b < end; b++)
        memcpy(joined + b * width + s.units, s.x + (t * s.rows + b) * s.inputs, sizeof(float) * s.inputs);
      step<Cell>(s, t, begin, end);
    }
  }
}

// out [R, N * W] += a [R, depth] w [depth, N * W]
template <int R, int N>
SEPARATE void tile(const float* a, int64_t a_stride, int64_t depth, const float* w, float* out, int64_t out_stride) {
  Vec sums[R][N];
  for (int r = 0; r < R; r++)
    for (int n = 0; n < N; n++) sums[r][n] = load(out + r * out_stride + n * W);
  for (int64_t k = 0; k < depth; k++, w += N * W)
    for (int n = 0; n < N; n++) {
      const Vec weight = held(load(w + n * W));
      for (int r = 0; r < R; r++) sums[r][n] += a[r * a_stride + k] * weight;
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

// D rows of a weight's gradient, N vectors: += over steps and rows of joined [.., D] times sums [.., N * W].
template <int D, int N>
SEPARATE void gradient(int64_t steps, int64_t rows, const float* joined, int64_t stride, int64_t step_stride,
                     const float* sums, int64_t sums_stride, float* out, int64_t out_stride) {
  Vec total[D][N];
  for (int d = 0; d < D; d++)
    for (int n = 0; n < N; n++) total[d][n] = load(out + d * out_stride + n * W);
  for (int64_t t = 0; t < steps; t++) {
    const float* x = joined + t * step_stride;
    for (int64_t r = 0; r < rows; r++, x += stride, sums += sums_stride)
      for (int n = 0; n < N; n++) {
        const Vec slope = held(load(sums + n * W));
        for (int d = 0; d < D; d++) total[d][n] += x[d] * slope;
      }
  }
  for (int d = 0; d < D; d++)
    for (int n = 0; n < N; n++) store(out + d * out_stride + n * W, total[d][n]);
}

// Gradients of weights [count, columns] of `count` inputs that begin at `joined`.
template <int N>
static void gradients(int64_t steps, int64_t rows, int64_t count, const float* joined, int64_t stride, int64_t step_stride,
                      const float* sums, int64_t sums_stride, float* out, int64_t out_stride) {
  int64_t k = 0;
  for (; k + DEPTH <= count; k += DEPTH)
    gradient<DEPTH, N>(steps, rows, joined + k, stride, step_stride, sums, sums_stride, out + k * out_stride, out_stride);
  for (; k < count; k++)
    gradient<1, N>(steps, rows, joined + k, stride, step_stride, sums, sums_stride, out + k * out_stride, out_stride);
}

// What the steps [t, t + steps) of rows [begin, begin + rows) add to the gradients of weights and biases.
template <class Cell>
static void add_gradients(const Sequence& s, const Backward& d, int64_t t, int64_t steps, int64_t begin, int64_t rows) {
  const int64_t units = s.units, width = units + s.inputs, sums_stride = Cell::SLOTS * units;
  const float* joined = s.joined + (t * s.rows + begin) * width;
  for (int part = 0; part < 2; part++) {
    const int64_t from = (part ? Cell::FROM_INPUT : Cell::FROM_HIDDEN) * units, columns = Cell::BLOCKS * units;
    const int64_t skip = part ? units : 0, count = part ? s.inputs : units;
    for (int64_t j = 0; j < columns; j += 3 * W) {
      const int64_t vectors = (columns - j) / W, at = from + j;
      const float* sums = d.work + at;
      float* out = d.by_weights + skip * sums_stride + at;
      if (vectors >= 3) gradients<3>(steps, rows, count, joined + skip, width, s.rows * width, sums, sums_stride, out, sums_stride);
      else if (vectors == 2) gradients<2>(steps, rows, count, joined + skip, width, s.rows * width, sums, sums_stride, out, sums_stride);
      else gradients<1>(steps, rows, count, joined + skip, width, s.rows * width, sums, sums_stride, out, sums_stride);
    }
  }
  float* by_bias = d.by_weights + width * sums_stride;
  for (int64_t j = 0; j < sums_stride; j += W) {
    Vec total = load(by_bias + j);
    for (int64_t m = 0; m < steps * rows; m++) total += load(d.work + m * sums_stride + j);
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
      float* sums = d.work + t % CHUNK * rows * sums_stride;
      for (int64_t r = 0; r < rows; r++) {
        const int64_t m = at + r;
        const float* cell_before = !Cell::CELL ? nullptr : s.first[m] ? s.initial_cell
                                   : t ? s.cells + (m - s.rows) * units : s.cell + (begin + r) * units;
        for (int64_t j = 0; j < units; j += W) {
          store(by_hidden + r * units + j, load(by_hidden + r * units + j) + load(d.by_output + m * units + j));
          Cell::back({s.gates + m * Cell::TAPE * units + j, s.joined + m * width + j,
                      Cell::CELL ? cell_before + j : nullptr, s.recall ? s.recall + m * units + j : nullptr,
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
      if (t % CHUNK == 0) {
        const int64_t steps = s.steps - t < CHUNK ? s.steps - t : CHUNK;
        add_gradients<Cell>(s, d, t, steps, begin, rows);
      }
    }
  }
}
