// Everything that exists once for each level of instructions, and its table of functions.
#include "vector.h"
#include "cells.h"
#include "unroll.h"
#include "pack.h"
#include "act.h"

template <class Cell>
constexpr Functions functions() {
  return {pack<Cell>, pack_back<Cell>, forward<Cell>, backward<Cell>, act<Cell>};
}
static const Functions table[] = {functions<Lstm>(), functions<Gru>(), functions<EpLstm>()};
