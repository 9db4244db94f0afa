//! The reference executor: every operator as a composition of differentiable candle operators. Plain, slow, and right.
