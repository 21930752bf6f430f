"""Learning rate over a run: one cycle, cosine with restarts, steps, or drops where dev stops getting better.

All but the last are functions of the step alone, so a resumed run needs no state for them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from app.training.config import OptimConfig


def learning_rate(step: int, config: OptimConfig, drops: int = 0) -> float:
    """Learning rate of step 0 .. steps - 1 by `config.scheduler`, > 0 after the same linear warm-up for all of them.

    drops: how often `Plateau` has asked for less, read by the plateau schedule only.
    """
    warm = max(1, int(config.warmup * config.steps))
    peak = config.learning_rate
    if step < warm:
        return peak * ((step + 1) / warm)
    done = (step - warm) / max(1, config.steps - warm)
    match config.scheduler:
        case "one_cycle":
            # Half a cosine down to 1 % of the peak (Smith, 2018).
            return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))
        case "cosine":
            # Warm restarts (Loshchilov & Hutter, 2017): each of `cycles` equal parts falls from the peak towards 0.
            return peak * 0.5 * (1 + math.cos(math.pi * math.modf(done * config.cycles)[0]))
        case "step":
            return peak * config.gamma ** sum(done >= m for m in config.milestones)
        case "plateau":
            return peak * config.gamma**drops


@dataclass
class Plateau:
    """History of the dev WER."""

    best: float = math.inf
    """The lowest, 0..1 (above with many insertions); infinite before the first evaluation."""
    bad: int = 0
    """Evaluations since the best."""
    waited: int = 0
    """Evaluations since the later of the best and the last drop."""
    drops: int = 0
    """Drops of the learning rate."""

    def update(self, wer: float, patience: int) -> bool:
        """Take in an evaluation; True where it is the best so far. Every `patience` without one is a drop."""
        if wer < self.best:
            self.best, self.bad, self.waited = wer, 0, 0
            return True
        self.bad += 1
        self.waited += 1
        if self.waited >= patience:
            self.waited, self.drops = 0, self.drops + 1
        return False
