// Weights in the order in which the loops read them. Widths are padded with zeros, so that no loop has a remainder.

// The block of torch's weights that stands at place g of the sums of inputs: the GRU's candidate (its last) comes first.
template <class Cell>
INLINE int64_t block_of_input(int64_t g) {
  return Cell::FROM_INPUT == Cell::FROM_HIDDEN ? g : (g + Cell::BLOCKS - 1) % Cell::BLOCKS;
}

// For `few_rows`: [units / W] panels of [units + inputs][BLOCKS][W], then the biases [units / W][SLOTS][W].
template <class Cell>
static void pack(const Parameters& p, float* out) {
  const int64_t H = p.hidden, F = p.inputs;
  for (int64_t j = 0; j < p.units; j += W) {
    for (int64_t k = 0; k < p.units + F; k++)
      for (int64_t g = 0; g < Cell::BLOCKS; g++)
        for (int64_t u = j; u < j + W; u++) {
          if (u >= H || (k >= H && k < p.units)) *out++ = 0;
          else if (k < H) *out++ = p.w_hidden[(g * H + u) * H + k];
          else *out++ = p.w_input[(block_of_input<Cell>(g) * H + u) * F + k - p.units];
        }
  }
  for (int64_t j = 0; j < p.units; j += W)
    for (int64_t g = 0; g < Cell::SLOTS; g++)
      for (int64_t u = j; u < j + W; u++) {
        const int64_t in = g - Cell::FROM_INPUT, hidden = g - Cell::FROM_HIDDEN;
        float bias = 0;
        if (u < H && p.b_input && in < Cell::BLOCKS) bias += p.b_input[block_of_input<Cell>(in) * H + u];
        if (u < H && p.b_hidden && hidden >= 0) bias += p.b_hidden[hidden * H + u];
        *out++ = bias;
      }
}

// For `product`: of a matrix with rows [BLOCKS * units] panels of three vectors' columns, the last panel what is left.
// First that of the hidden state, [.., units] columns, then (if `columns`) that of the inputs, so many columns.
template <class Cell>
static void pack_back(const Parameters& p, int64_t columns, float* out) {
  const int64_t H = p.hidden;
  for (int part = 0; part < 2; part++) {
    const int64_t used = part ? p.inputs : H, all = part ? columns : p.units;
    const float* from = part ? p.w_input : p.w_hidden;
    for (int64_t j = 0; j < all; j += 3 * W)
      for (int64_t g = 0; g < Cell::BLOCKS; g++)
        for (int64_t u = 0; u < p.units; u++)
          for (int64_t k = j; k < j + 3 * W && k < all; k++)
            *out++ = u < H && k < used ? from[((part ? block_of_input<Cell>(g) : g) * H + u) * used + k] : 0;
  }
}
