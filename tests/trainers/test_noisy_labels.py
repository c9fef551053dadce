"""Synthetic labels of a judge that errs: what it says of its own doubt makes better models."""

import math

import numpy as np


def _judged(rng, gap, doubt):
    """A judge's log-odds for true gaps: the truth and noise, as sure as that noise lets it be.

    With a normal gap of variance 1 and normal noise of variance `doubt` ** 2 the posterior's mean
    shrinks what was seen; its probability is then near a calibrated one.
    """
    seen = gap + rng.normal(scale=doubt, size=gap.shape)
    shrunk = seen / (1 + doubt**2)
    spread = math.sqrt(doubt**2 / (1 + doubt**2))
    return shrunk / spread * 1.7  # the logistic curve closest to the normal's


def _fit(kind, features, p):
    """A linear reward by DPO's loss for rows with labels of their own; gives its weights."""
    import torch
    from torch.nn.functional import logsigmoid

    from charter.trainers.soft_dpo import RowSmoothing, smoothing_of

    x = torch.tensor(features, dtype=torch.float32)
    p = torch.tensor(p, dtype=torch.float32)
    s = RowSmoothing(smoothing_of(kind, p), torch.ones_like(p))
    w = torch.zeros(x.shape[1], requires_grad=True)
    optimiser = torch.optim.LBFGS([w], max_iter=40)

    def loss():
        optimiser.zero_grad()
        d = x @ w
        value = ((-(1 - s) * logsigmoid(d) - -s * logsigmoid(-d)) / (1 - 2 * s)).mean()
        value = value + 1e-3 * w.square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    return w.detach().numpy()


def test_a_linear_reward_finds_the_truth_better_from_soft_labels():
    gains = []
    for seed in range(16):
        rng = np.random.default_rng(seed)
        truth = rng.normal(size=12)
        truth /= np.linalg.norm(truth)
        pairs = rng.normal(size=(240, 12))
        odds = _judged(rng, pairs @ truth, doubt=2.5)
        chosen = pairs * np.sign(odds)[:, None]  # the judge's choice stands first
        p = 1 / (1 + np.exp(-np.abs(odds)))
        found = {kind: _fit(kind, chosen, p) for kind in ("none", "conservative")}
        right = {k: w @ truth / np.linalg.norm(w) for k, w in found.items()}  # cosine to the truth
        gains.append(right["conservative"] - right["none"])
    # By luck half of the seeds would gain, and 13 or more of 16 in one test of a hundred.
    assert sum(gain > 0 for gain in gains) >= 13
    assert np.mean(gains) > 0.02
