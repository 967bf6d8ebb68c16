// Recurrent layers on the CPU: steps of acting, unrolls with resets inside, and their backward pass.
//
// A plain C interface (struct of sizes and pointers in, nothing allocated, one thread), loaded by library.py. All numbers
// are float32; [.., units] are hidden sizes padded with zeros to a multiple of PAD. The sources below level.h are compiled
// once for each level of instructions, by means of the compiler's own vectors, and chosen from when they are called.

#include <cmath>
#include <cstdint>
#include <cstring>

#define INLINE static inline __attribute__((always_inline))
#define SEPARATE static __attribute__((noinline))  // its registers are its own

namespace {
constexpr int64_t PAD = 16;    // floats: the widest vector
constexpr int64_t BLOCK = 24;  // rows that go through time together
constexpr int64_t CHUNK = 4;   // steps whose gradients of sums are kept until the weights' are formed

// An unroll of T steps of B rows. With `gates` (the tape, for the backward pass) `cells` holds all steps, without it one.
struct Sequence {
  int64_t kind, steps, rows, inputs, units;
  const float* weights;          // packed
  float* x;                      // [T, B, inputs]
  const uint8_t* first;          // [T, B]: the state is reset before this step
  const float *hidden, *cell;    // [B, units] before the first step
  const float *initial_hidden, *initial_cell;  // [units] after a reset
  const float* recall;           // [T, B, units] or null
  float* joined;                 // room for [CHUNK, BLOCK, units + inputs]: hidden states before a step, and its inputs
  float* gates;                  // [T, B, TAPE * units] or null
  float* cells;                  // [T or 1, B, units] after each step
  float* output;                 // [T, B, units]
};

// Gradients; `by_weights` is [units + inputs + 1, SLOTS * units], its last row of the biases.
struct Backward {
  const float* weights;          // packed for this direction
  const float* by_output;        // [T, B, units]
  float *work;                   // [CHUNK, BLOCK, SLOTS * units]
  float *by_weights, *by_initial, *by_hidden, *by_cell;  // .., [2, units], [B, units] each
  float *by_x, *by_recall;       // [T, B, inputs padded], [T, B, units]; or null
};

// torch's weights of a layer: [blocks * hidden, ..]; a bias may be null.
struct Parameters {
  int64_t inputs, hidden, units;
  const float *w_input, *w_hidden, *b_input, *b_hidden;
};

// A step of acting: arrays that hold all T steps, of which one call fills step t.
struct Acting {
  Sequence sequence;             // its first [T, B]; without a tape its x and output are of one step, the state before too
  int64_t features_count, features_kept, actions, see_action, see_reward, reward_by_action, levels_count;
  const float *features, *levels;  // [T or 1, B, features], [levels] or null
  const int64_t* prev_action;    // [T, B]
  const float* prev_reward;      // [T, B]
  const float *policy, *policy_bias, *noise;  // [actions, units], [actions], [T, B, actions]
  float* logits;                 // [T, B, actions]
  int64_t* action;               // [T, B]
};

struct Functions {
  void (*pack)(const Parameters&, float*);
  void (*pack_back)(const Parameters&, int64_t, float*);
  void (*forward)(const Sequence&);
  void (*backward)(const Sequence&, const Backward&);
  void (*act)(const Acting&, int64_t);
};

namespace portable {
#include "level.h"
}

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
#define LEVEL_AVX2
namespace avx2 {
#include "level.h"
}
#undef LEVEL_AVX2
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,fma"))), apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw,fma,prefer-vector-width=512")
#endif
#define LEVEL_AVX512
namespace avx512 {
#include "level.h"
}
#undef LEVEL_AVX512
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
const Functions* const levels[] = {portable::table, avx2::table, avx512::table};
#else
const Functions* const levels[] = {portable::table};
#endif
}  // namespace

extern "C" {
// Of the structs above and what they point to; library.py says which one it speaks. Raised with every change of them.
int64_t recurrent_interface() { return 2; }
// How many levels there are: portable, AVX2 with FMA, AVX-512. The caller asks only for one that the machine has.
int64_t recurrent_levels() { return sizeof(levels) / sizeof(*levels); }
void recurrent_pack(int64_t level, int64_t kind, const Parameters* p, float* out) { levels[level][kind].pack(*p, out); }
void recurrent_pack_back(int64_t level, int64_t kind, const Parameters* p, int64_t columns, float* out) {
  levels[level][kind].pack_back(*p, columns, out);
}
void recurrent_forward(int64_t level, const Sequence* s) { levels[level][s->kind].forward(*s); }
void recurrent_backward(int64_t level, const Sequence* s, const Backward* d) { levels[level][s->kind].backward(*s, *d); }
void recurrent_act(int64_t level, const Acting* a, int64_t t) { levels[level][a->sequence.kind].act(*a, t); }
}
