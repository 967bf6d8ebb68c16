// One step of acting: inputs side by side, reset, cell, policy, and a sample of it.

// Features, previous action one-hot, previous reward (a number, or one-hot over levels; of each action, or of all).
static void join_inputs(const Acting& a, int64_t t, float* out) {
  const int64_t rows = a.sequence.rows;
  const int64_t values = a.levels ? a.levels_count : 1;
  for (int64_t b = 0; b < rows; b++) {
    const int64_t at = t * rows + b, action = a.prev_action[at];
    const float reward = a.prev_reward[at];
    memcpy(out, a.features + (a.features_kept ? at : b) * a.features_count, sizeof(float) * a.features_count);
    out += a.features_count;
    if (a.see_action)
      for (int64_t i = 0; i < a.actions; i++) *out++ = i == action;
    if (!a.see_reward) continue;
    for (int64_t i = 0; i < (a.reward_by_action ? a.actions : 1); i++)
      for (int64_t l = 0; l < values; l++) {
        const float value = a.levels ? std::fabs(reward - a.levels[l]) < 1e-4f : reward;
        *out++ = a.reward_by_action ? (i == action) * value : value;
      }
  }
}

template <class Cell>
static void act(const Acting& a, int64_t t) {
  Sequence s = a.sequence;  // of step t alone, unless the activations of all steps are kept
  const int64_t kept = s.gates ? t : 0;
  if (!s.gates) s.first += t * s.rows;
  join_inputs(a, t, s.x + kept * s.rows * s.inputs);
  for (int64_t begin = 0; begin < s.rows; begin += BLOCK)
    step<Cell>(s, kept, begin, begin + BLOCK < s.rows ? begin + BLOCK : s.rows);
  const float* output = s.output + kept * s.rows * s.units;
  for (int64_t b = 0; b < s.rows; b++) {
    const int64_t at = t * s.rows + b;
    float best = 0;
    for (int64_t i = 0; i < a.actions; i++) {
      Vec total{};
      for (int64_t j = 0; j < s.units; j += W) total += load(output + b * s.units + j) * load(a.policy + i * s.units + j);
      const float logit = sum(total) + a.policy_bias[i], score = logit + a.noise[at * a.actions + i];
      a.logits[at * a.actions + i] = logit;
      if (i == 0 || !(score <= best)) best = score, a.action[at] = i;
    }
  }
}
