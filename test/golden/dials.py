"""Writes dials.json: the loss of hand-made logits for every distance, label smoothing and weight, and the distance of hand-made hidden
states with and without a map between widths, by PyTorch's own functions in float64 with gradients by autograd. Run with a Python that has torch: python test/golden/dials.py"""

import json
import math
from pathlib import Path

import torch
from torch.nn import functional as F

torch.set_default_dtype(torch.float64)
PAD = 0


def distance(kind, student, teacher, temperature):
    """One value a row."""
    log_p = F.log_softmax(teacher / temperature, -1)
    log_q = F.log_softmax(student / temperature, -1)
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)
    kl = lambda a, b: F.kl_div(b, a, reduction="none", log_target=True).sum(-1)
    if kind == "kl":
        return temperature**2 * kl(log_p, log_q)
    if kind == "reverse-kl":
        return temperature**2 * kl(log_q, log_p)
    if kind == "jsd":
        return temperature**2 * (kl(log_p, log_m) + kl(log_q, log_m)) / 2
    return F.mse_loss(student, teacher, reduction="none").mean(-1)


def case(logits, kind, temperature, smoothing, soft, hard):
    teacher, targets = torch.tensor(logits["teacher"]), torch.tensor(logits["targets"])
    student = torch.tensor(logits["student"], requires_grad=True)
    keep = targets != PAD
    kd = distance(kind, student, teacher, temperature)[keep].mean()
    ce = F.cross_entropy(student, targets, ignore_index=PAD)
    smooth = F.cross_entropy(student, targets, ignore_index=PAD, label_smoothing=smoothing)
    total = hard * smooth + soft * kd
    total.backward()
    short = lambda x: float(f"{x:.12g}")
    return {
        "divergence": kind,
        "temperature": temperature,
        "labelSmoothing": smoothing,
        "distillWeight": soft,
        "hardWeight": hard,
        "kd": short(kd.item()),
        "ce": short(ce.item()),
        "hard": short(smooth.item()),
        "total": short(total.item()),
        "gradient": [[short(g) for g in row] for row in student.grad.tolist()],
    }


def features(numbers, width):
    """Rows of two sentences, the second with two pads; the teacher is three wide."""
    draw = lambda *shape: (torch.randn(*shape, generator=numbers)).mul(1000).round().div(1000)
    keep = torch.tensor([1.0, 1, 1, 1, 1, 0, 0, 1])
    student = draw(len(keep), width).requires_grad_()
    teacher = draw(len(keep), 3)
    weight, projection = 0.7, None if width == 3 else draw(width, 3).requires_grad_()
    ours = student if projection is None else student @ projection
    kept = keep.bool()
    mse = F.mse_loss(ours[kept], teacher[kept])
    (weight * mse).backward()
    return {
        "student": student.tolist(),
        "teacher": teacher.tolist(),
        "keep": keep.tolist(),
        "weight": weight,
        "projection": None if projection is None else projection.tolist(),
        "mse": mse.item(),
        "gradient": student.grad.tolist(),
        "projectionGradient": None if projection is None else projection.grad.tolist(),
    }


def attention(numbers):
    """Scores of two sentences of three tokens, two heads; the second sentence has two tokens and its third is hidden."""
    hidden = torch.zeros(2, 1, 3, 3)
    hidden[1, :, :, 2] = -1e9
    draw = lambda: (2 * torch.randn(2, 2, 3, 3, generator=numbers)).mul(1000).round().div(1000) + hidden
    student, teacher = draw().requires_grad_(), draw()
    keep, weight = torch.tensor([[1.0, 1, 1], [1, 1, 0]]), 0.7
    each = F.kl_div(F.log_softmax(student, -1), F.log_softmax(teacher, -1), log_target=True, reduction="none").sum(-1)
    kl = (each * keep[:, None]).sum() / (keep.sum() * 2)
    (weight * kl).backward()
    return {
        "student": student.tolist(),
        "teacher": teacher.tolist(),
        "keep": keep.flatten().tolist(),
        "weight": weight,
        "kl": kl.item(),
        "gradient": student.grad.tolist(),
    }


def main():
    numbers = torch.Generator().manual_seed(8)
    rows, words = 6, 7
    draw = lambda: (4 * torch.randn(rows, words, generator=numbers)).mul(1000).round().div(1000).tolist()
    logits = {"teacher": draw(), "student": draw(), "targets": [3, 6, 1, 2, PAD, PAD]}
    # A pair that agrees, a sure teacher, and a student that is as sure of something else: what rounding is worst for.
    logits["student"][1] = logits["teacher"][1]
    logits["teacher"][2][4] = 90.0
    logits["student"][3][5] = 90.0
    weights = [(0.0, 1.0), (0.7, 0.3), (1.0, 0.0), (0.4, 1.5)]
    settings = [(kind, t) for kind in ("kl", "reverse-kl", "jsd") for t in (1.0, 4.0)] + [("mse", 1.0)]
    cases = [
        case(logits, kind, t, smoothing, soft, hard)
        for kind, t in settings
        for smoothing in (0.0, 0.1)
        for soft, hard in weights
    ]
    path = Path(__file__).with_name("dials.json")
    made = {"logits": logits, "cases": cases, "features": [features(numbers, width) for width in (2, 3)]}
    made["attention"] = attention(numbers)
    path.write_text(json.dumps(made, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
