// Vectors of W floats, and the two squashing functions. Compiled once for each level of instructions (see recurrent.cpp),
// inside that level's namespace: hence no include guard, and no #include.

#if defined(LEVEL_AVX512)
constexpr int W = 16, ROWS = 6, ROWS_OF_FIVE = 5, ROWS_BACK = 8, DEPTH = 6;
#elif defined(LEVEL_AVX2)
constexpr int W = 8, ROWS = 3, ROWS_OF_FIVE = 2, ROWS_BACK = 4, DEPTH = 4;
#elif defined(__aarch64__)
constexpr int W = 4, ROWS = 6, ROWS_OF_FIVE = 5, ROWS_BACK = 6, DEPTH = 6;
#else
constexpr int W = 4, ROWS = 2, ROWS_OF_FIVE = 2, ROWS_BACK = 3, DEPTH = 3;
#endif
// ROWS: how many rows one pass over a panel of weights serves, so that their sums stay in registers; DEPTH: the same of
// inputs in a weight's gradient.

typedef float Vec __attribute__((vector_size(4 * W)));
typedef int32_t Bits __attribute__((vector_size(4 * W)));
typedef Vec Stored __attribute__((aligned(4), may_alias));  // anywhere in memory

INLINE Vec load(const float* p) { return *(const Stored*)p; }
INLINE void store(float* p, Vec v) { *(Stored*)p = v; }

// Into a register, once for all that use it: left alone, compilers load a weight again for each row.
INLINE Vec held(Vec v) {
#if defined(__x86_64__)
  asm("" : "+x"(v));
#elif defined(__aarch64__)
  asm("" : "+w"(v));
#endif
  return v;
}

INLINE float sum(Vec v) {
  float total = 0;
  for (int i = 0; i < W; i++) total += v[i];
  return total;
}

// To [least, most]. Comparisons with NaN are false: it passes through.
INLINE Vec clamped(Vec x, float least, float most) {
  const Vec low = least - Vec{}, high = most - Vec{};
  x = low > x ? low : x;
  return high < x ? high : x;
}

// tanh as a quotient of polynomials (the coefficients are Eigen's): within a few units in the last place.
INLINE Vec squashed(Vec x) {
  x = clamped(x, -7.90531110763549805f, 7.90531110763549805f);
  const Vec y = x * x;
  Vec p = y * -2.76076847742355e-16f + 2.00018790482477e-13f;
  p = y * p + -8.60467152213735e-11f;
  p = y * p + 5.12229709037114e-08f;
  p = y * p + 1.48572235717979e-05f;
  p = y * p + 6.37261928875436e-04f;
  p = y * p + 4.89352455891786e-03f;
  Vec q = y * 1.19825839466702e-06f + 1.18534705686654e-04f;
  q = y * q + 2.26843463243900e-03f;
  q = y * q + 4.89352518554385e-03f;
  return x * p / q;
}

// 1 / (1 + exp(-x)): the exponential as 2^n exp(r), |r| < ln(2) / 2 (the coefficients are those of Cephes' expf). Far below
// zero 2^n is infinite, and the gate closed: exactly 0.
INLINE Vec gate(Vec x) {
  const float round = 12582912.0f;  // 1.5 * 2^23: what is added to it loses its fraction
  const Vec z = clamped(-x, -87.0f, 89.0f), shifted = z * 1.44269504088896341f + round, n = shifted - round;
  const Vec r = (z - n * 0.693359375f) - n * -2.12194440e-4f;
  Vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + (r + 1.0f);
  const Bits power = ((Bits)shifted << 23) + 0x3f800000;
  return 1.0f / (1.0f + p * (Vec)power);
}
