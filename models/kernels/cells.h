// What one step of a cell does with its sums, W units of R rows, and the step's derivative, W units of one row.
// The rows go through each part of a step together: what one waits for, another can use.
//
// A cell has BLOCKS blocks of weights, SLOTS sums of products (the GRU's candidate has two: of the input, slot 0, and of
// the hidden state, slot 3) and a TAPE: blocks of numbers kept for the backward pass. A block is `units` floats wide.
// Inputs meet slots FROM_INPUT .. + BLOCKS, the hidden state FROM_HIDDEN .. + BLOCKS.

// Where the numbers of one row and unit stand in a step.
struct Place {
  const float* before;  // hidden state before the step
  float* cell;          // cell state: before the step, and then after it
  const float* recall;  // what enters from an episodic memory, or null
  float* output;
  float* tape;  // or null
};

// The same in the backward pass; `hidden` and `cell` are gradients: of what comes out, then of what goes in (of the
// hidden state only what does not go through the sums).
struct Slope {
  const float *tape, *before, *cell_before, *cell_after, *recall;
  float *hidden, *cell, *sums, *by_recall;
};

// Vectors into blocks of the tape, one after the other.
template <class... More>
INLINE void keep(float* tape, int64_t units, Vec first, More... more) {
  store(tape, first);
  if constexpr (sizeof...(more) > 0) keep(tape + units, units, more...);
}

// h = o tanh(c), the end of a step with a cell. The backward pass computes tanh(c) again: that costs less than to keep it.
template <int R>
INLINE void put_out(const Vec (&c)[R], const Vec (&o)[R], const Place* places) {
  for (int r = 0; r < R; r++) {
    store(places[r].cell, c[r]);
    store(places[r].output, o[r] * squashed(c[r]));
  }
}

struct Lstm {  // slots: input, forget, candidate, output
  static constexpr int BLOCKS = 4, SLOTS = 4, TAPE = 4, FROM_INPUT = 0, FROM_HIDDEN = 0, R = ROWS;
  static constexpr bool CELL = true;
  template <int ROWS_HERE>
  INLINE void step(Vec (&sums)[ROWS_HERE][SLOTS], const Place* places, int64_t units) {
    Vec c[ROWS_HERE], o[ROWS_HERE];
    for (int r = 0; r < ROWS_HERE; r++) {
      const Place at = places[r];
      const Vec i = gate(sums[r][0]), f = gate(sums[r][1]), g = squashed(sums[r][2]);
      o[r] = gate(sums[r][3]);
      c[r] = f * load(at.cell) + i * g;
      if (at.tape) keep(at.tape, units, i, f, g, o[r]);
    }
    put_out(c, o, places);
  }
  INLINE void back(Slope at, int64_t units) {
    const Vec i = load(at.tape), f = load(at.tape + units), g = load(at.tape + 2 * units);
    const Vec o = load(at.tape + 3 * units), s = squashed(load(at.cell_after)), h = load(at.hidden);
    const Vec c = load(at.cell) + h * o * (1.0f - s * s);
    store(at.sums, c * g * (i - i * i));
    store(at.sums + units, c * load(at.cell_before) * (f - f * f));
    store(at.sums + 2 * units, c * i * (1.0f - g * g));
    store(at.sums + 3 * units, h * s * (o - o * o));
    store(at.cell, c * f);
    store(at.hidden, Vec{});
  }
};

struct Gru {  // slots: candidate (of the input), reset, update, candidate (of the hidden state)
  static constexpr int BLOCKS = 3, SLOTS = 4, TAPE = 4, FROM_INPUT = 0, FROM_HIDDEN = 1, R = ROWS;
  static constexpr bool CELL = false;
  template <int ROWS_HERE>
  INLINE void step(Vec (&sums)[ROWS_HERE][SLOTS], const Place* places, int64_t units) {
    Vec z[ROWS_HERE], into[ROWS_HERE];
    for (int r = 0; r < ROWS_HERE; r++) {
      const Vec reset = gate(sums[r][1]);
      z[r] = gate(sums[r][2]);
      into[r] = sums[r][0] + reset * sums[r][3];
      if (places[r].tape) keep(places[r].tape + units, units, reset, z[r], sums[r][3]);
    }
    for (int r = 0; r < ROWS_HERE; r++) {
      const Place at = places[r];
      const Vec n = squashed(into[r]);
      store(at.output, n + z[r] * (load(at.before) - n));
      if (at.tape) store(at.tape, n);
    }
  }
  INLINE void back(Slope at, int64_t units) {
    const Vec n = load(at.tape), r = load(at.tape + units), z = load(at.tape + 2 * units), h = load(at.hidden);
    const Vec by_n = h * (1.0f - z) * (1.0f - n * n);
    store(at.sums, by_n);
    store(at.sums + units, by_n * load(at.tape + 3 * units) * (r - r * r));
    store(at.sums + 2 * units, h * (load(at.before) - n) * (z - z * z));
    store(at.sums + 3 * units, by_n * r);
    store(at.hidden, h * z);
  }
};

struct EpLstm {  // slots: candidate, input, forget, reinstatement, output
  static constexpr int BLOCKS = 5, SLOTS = 5, TAPE = 5, FROM_INPUT = 0, FROM_HIDDEN = 0, R = ROWS_OF_FIVE;
  static constexpr bool CELL = true;
  template <int ROWS_HERE>
  INLINE void step(Vec (&sums)[ROWS_HERE][SLOTS], const Place* places, int64_t units) {
    Vec c[ROWS_HERE], o[ROWS_HERE];
    for (int row = 0; row < ROWS_HERE; row++) {
      const Place at = places[row];
      const Vec g = squashed(sums[row][0]), i = gate(sums[row][1]), f = gate(sums[row][2]), r = gate(sums[row][3]);
      o[row] = gate(sums[row][4]);
      c[row] = f * load(at.cell) + i * g;
      if (at.recall) c[row] += r * load(at.recall);
      if (at.tape) keep(at.tape, units, g, i, f, r, o[row]);
    }
    put_out(c, o, places);
  }
  INLINE void back(Slope at, int64_t units) {
    const Vec g = load(at.tape), i = load(at.tape + units), f = load(at.tape + 2 * units);
    const Vec r = load(at.tape + 3 * units), o = load(at.tape + 4 * units), s = squashed(load(at.cell_after));
    const Vec h = load(at.hidden), c = load(at.cell) + h * o * (1.0f - s * s);
    store(at.sums, c * i * (1.0f - g * g));
    store(at.sums + units, c * g * (i - i * i));
    store(at.sums + 2 * units, c * load(at.cell_before) * (f - f * f));
    store(at.sums + 3 * units, at.recall ? c * load(at.recall) * (r - r * r) : Vec{});
    store(at.sums + 4 * units, h * s * (o - o * o));
    if (at.by_recall) store(at.by_recall, c * r);
    store(at.cell, c * f);
    store(at.hidden, Vec{});
  }
};
