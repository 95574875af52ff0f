"""Training, top to bottom: build, continue from a checkpoint, stage ``psnr``, stage ``gan``.

A step sees pictures ``[B, 3, h, w]`` or clips ``[B, T, 3, h, w]``. Clips are gone through in stretches of ``through``
frames: the results run on from one stretch to the next, gradients do not (truncated back-propagation through time).

What a step sees is drawn from (seed, stage, step) alone (:mod:`vidsr.training.dataset.loader`), and the learning rate
is a function of the step; so a checkpoint needs only tensors and a few numbers, and a resumed run equals the
uninterrupted one.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vidsr.errors import Interrupted, TrainingError
from vidsr.inference.device import DTYPES, choose_device
from vidsr.models.known_architectures import architecture_of
from vidsr.models.zoo import resolve
from vidsr.options.schema import changes
from vidsr.training import checkpoints, distributed
from vidsr.training.dataset.clips.clip_loader import Clips
from vidsr.training.dataset.clips.clip_store import ClipStore
from vidsr.training.dataset.loader import Draw, Patches, StepShare, batches
from vidsr.training.dataset.patch_store import PatchStore
from vidsr.training.discriminators import DISCRIMINATORS, Triplets
from vidsr.training.guards import Guards
from vidsr.training.losses import ADVERSARIAL, sharpened
from vidsr.training.measuring import Measures
from vidsr.training.networks import Average, generator_of, parameter_groups, placed
from vidsr.training.options import StageOptions, TrainOptions
from vidsr.training.perceptual import Perceptual
from vidsr.training.run_log import RunLog
from vidsr.training.stopping import StopRequest
from vidsr.training.teacher import Teacher
from vidsr.training.terms.weighing import Terms, pictures
from vidsr.training.unrolled import LastFrame, Stretch, Unrolled, stretches_of


def learning_rate(stage: StageOptions, step: int) -> float:
    """Adam's rate at a step, counted from 0: linear warm-up, then halved at milestones or along half a cosine."""
    if step < stage.warmup:
        return stage.learning_rate * (step + 1) / stage.warmup
    if stage.schedule == "steps":
        return stage.learning_rate * 0.5 ** sum(step >= milestone for milestone in stage.milestones)
    done = (step - stage.warmup) / (stage.steps - stage.warmup)
    return stage.learning_rate * (stage.floor + (1 - stage.floor) * (1 + math.cos(math.pi * done)) / 2)


class Trainer:
    """One training run. ``Trainer(options).run()`` trains; its output is in ``options.run.folder``.

    Under ``torchrun`` each process takes its part of every step, with ``data.batch`` patches each.

    Raises:
        VidsrError: options, data or weights do not fit; raised before any training.
    """

    def __init__(self, options: TrainOptions) -> None:
        self.options = o = options
        self.rank, self.ranks = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
        self.folder = Path(o.run.folder).expanduser()
        self.device = choose_device(o.run.device)
        if self.ranks > 1:
            self.device = distributed.join(self.device, int(os.environ.get("LOCAL_RANK", "0")))
        if o.run.threads:
            torch.set_num_threads(o.run.threads)
        self.format = torch.channels_last if o.run.channels_last else torch.contiguous_format
        dataset = Path(o.data.dataset).expanduser()
        self.store = PatchStore(dataset) if o.data.frames == 1 else ClipStore(dataset)
        self.validation = Measures(o)
        torch.manual_seed(o.run.seed)
        self.generator = self._build_generator()
        self.average = Average(self.generator, o.generator.ema)
        self.averaged = placed(
            architecture_of(self.generator).build(self.generator.config), self.device, self.format
        ).requires_grad_(False)
        self.guards = Guards(skip_limit=o.run.skip_limit)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=o.run.precision == "fp16")
        self.stop = StopRequest()
        self.scores: dict[str, float] = {}
        self.scored_at: int | None = None  # the step of this stage that the scores are of
        self.best: dict[str, tuple[float, str]] = {}
        self.saved = ""
        # Read now, so that a missing file shows before the first stage and not after it.
        wanted = o.gan.steps and o.gan.perceptual_weight
        self.perceptual = Perceptual(resolve(o.gan.vgg), o.gan.layers).to(self.device) if wanted else None
        self.terms = {
            "psnr": Terms(o.psnr, self.device) if o.psnr.steps else None,
            "gan": Terms(o.gan, self.device, o.gan.pixel_weight) if o.gan.steps else None,
        }
        self.teacher = Teacher(o.distil, self.device) if o.distil.teacher else None
        self.stage, self.step = "psnr" if o.psnr.steps else "gan", 0
        self._arm(self.stage)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.journal = RunLog(self.folder, self.device, leader=self.rank == 0, tensorboard=o.run.tensorboard)

    # ---- building ----------------------------------------------------------------------------------------------

    def _build_generator(self) -> Any:
        return placed(generator_of(self.options.generator), self.device, self.format)

    def _arm(self, stage: str) -> None:
        """Optimisers, and for the gan stage the discriminator and its losses."""
        o = self.options
        self.settings: StageOptions = o.psnr if stage == "psnr" else o.gan
        network: Any = torch.compile(self.generator) if o.run.compile else self.generator
        self.forward: Any = distributed.wrapped(Unrolled(network, self.generator))
        self.optimisers = {"generator": self._adam(self.generator)}
        self.discriminator: nn.Module | None = None
        if stage == "gan":
            torch.manual_seed(o.run.seed + 1)
            critic: nn.Module = DISCRIMINATORS[o.gan.discriminator](o.gan.discriminator_feat)
            self.discriminator = placed(critic, self.device, self.format)
            self.judge: Any = distributed.wrapped(self.discriminator)
            self.optimisers["discriminator"] = self._adam(self.discriminator)
            self.adversarial = ADVERSARIAL[o.gan.loss]()

    def _adam(self, network: nn.Module) -> torch.optim.Adam:
        groups = parameter_groups(network, self.options.generator.new_rate)
        return torch.optim.Adam(groups, lr=self.settings.learning_rate, betas=self.settings.betas)

    # ---- the loop ----------------------------------------------------------------------------------------------

    def run(self) -> dict[str, float]:
        """Train the rest of both stages; returns the scores of the last validation.

        Raises:
            TrainingError: losses are not finite in too many steps.
            DiskFullError: a checkpoint does not fit on the disk; earlier ones are kept.
            Interrupted: Ctrl-C or SIGTERM; the current step was finished and saved.
        """
        try:
            self._check_disk()
            self.validation.dry_run(self.generator)
            for note in self.validation.notes:
                self.journal.say(note)
            for stage in ("psnr", "gan")[0 if self.stage == "psnr" else 1 :]:
                if stage != self.stage:
                    self.stage, self.step, self.scores, self.scored_at = stage, 0, {}, None
                    self.generator.load_state_dict(self.average.weights)
                    self._arm(stage)
                with self.stop:
                    self._run_stage()
                if not self.options.gan.steps:
                    break
        except RuntimeError as error:
            if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
                raise TrainingError(f"torch.compile fails here; set [run] compile = false ({error})") from error
            raise
        finally:
            self.journal.close()
            self.forward = self.judge = None  # see leave()
            distributed.leave()
        return self.scores

    def _run_stage(self) -> None:
        o, stage, steps = self.options, self.stage, self.settings.steps
        draw = Draw(seed=o.run.seed, stage=stage, scale=o.generator.scale, sharpen=self.settings.sharpen_target)
        kind = Clips if isinstance(self.store, ClipStore) else Patches
        examples: Any = kind(self.store, o.data, o.degradation, draw)  # type: ignore[arg-type]
        feed = batches(examples, o.data, StepShare(start=self.step, stop=steps, rank=self.rank, ranks=self.ranks))
        self.journal.begin(stage, self.step, steps)
        while self.step < steps:
            if self.stop.agreed(self.step, self.device):
                self.save()
                raise Interrupted(f"stopped and saved at {stage} step {self.step}; continue with `vidsr train resume`")
            rate = learning_rate(self.settings, self.step)
            of = {"generator": 1.0, "discriminator": o.gan.discriminator_rate}
            for name, optimiser in self.optimisers.items():
                for group in optimiser.param_groups:
                    group["lr"] = rate * of[name] * group["multiple"]
            with self.journal.phase("data"):
                micro = [self._to_device(next(feed)) for _ in range(o.data.accumulate)]
            values = self._psnr_step(micro) if stage == "psnr" else self._gan_step(micro)
            self.average.update(self.generator, self.step)
            self.step += 1
            self.journal.step()
            last = self.step == steps
            if self.step % o.run.log_every == 0 or last:
                self._log({**{k: float(v) for k, v in values.items()}, "learning_rate": rate})
            if self.step % o.run.validate_every == 0 or last:
                self._validate()
            if self.step % o.run.checkpoint_every == 0 or last:
                self.save()

    def _to_device(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """uint8 pictures or clips as floats in 0..1 on the device, pictures in the memory format of the networks.

        With a teacher, its results take the place of the originals.
        """
        low, high = (b.to(self.device, non_blocking=True).float().div(255) for b in batch)
        if self.options.distil.as_it_is:
            low = high[..., : low.shape[-2], : low.shape[-1]]
        if self.teacher is not None:
            high = self.teacher(low)
        if low.ndim == 5:
            return low, high
        return low.contiguous(memory_format=self.format), high.contiguous(memory_format=self.format)

    def _autocast(self) -> torch.autocast:
        precision = self.options.run.precision
        return torch.autocast(self.device.type, DTYPES[precision], enabled=precision != "fp32")

    def _psnr_step(self, micro: list[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        """One step without a discriminator."""
        sums: dict[str, Tensor] = {}
        stretches = list(stretches_of(micro, self.settings.through, there_and_back=self.settings.ping_pong_weight > 0))
        carried: LastFrame | None = None
        with self.journal.phase("generator"):
            for number, part in enumerate(stretches):
                before = None if part.begins else carried
                with self._gradients_together(self.forward, number, len(stretches)):
                    with self._autocast():
                        result, carried = self.forward(part.low, before)
                    terms = self._terms(part, result, before)
                    loss = torch.stack(list(terms.values())).sum() * part.share
                    self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
                _add(sums, terms, part.share)
            self._take_step({"generator": self.generator}, list(sums.values()))
            for alarm in self.guards.watch(pictures(result), pictures(part.high), None):
                self.journal.say(alarm)
        return sums

    def _gan_step(self, micro: list[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        """The generator against the discriminator as it stands, then the discriminator on the same frames."""
        assert self.discriminator is not None
        results: list[Tensor] = []
        sums: dict[str, Tensor] = {}
        stretches = list(stretches_of(micro, self.settings.through, there_and_back=self.settings.ping_pong_weight > 0))
        carried: LastFrame | None = None
        with self.journal.phase("generator"):
            self.discriminator.requires_grad_(False)
            for number, part in enumerate(stretches):
                before = None if part.begins else carried
                with self._gradients_together(self.forward, number, len(stretches)):
                    with self._autocast():
                        result, carried = self.forward(part.low, before)
                    terms = self._terms(part, result, before) | self._terms_of_critics(part, result)
                    loss = torch.stack(list(terms.values())).sum() * part.share
                    self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
                results.append(result.detach())
                _add(sums, terms, part.share)
        with self.journal.phase("discriminator"):
            self.discriminator.requires_grad_(True)
            for number, (part, result) in enumerate(zip(stretches, results, strict=True)):
                with self._gradients_together(self.judge, number, len(stretches)):
                    with self._autocast():
                        real, fake = self._judged(self.judge, part, part.high), self._judged(self.judge, part, result)
                    loss = self.adversarial.discriminator(real, fake)
                    self.scaler.scale(loss * part.share).backward()  # type: ignore[no-untyped-call]
                _add(sums, {"discriminator": loss, "real": real.mean(), "fake": fake.mean()}, part.share)
            both = {"generator": self.generator, "discriminator": self.discriminator}
            self._take_step(both, list(sums.values()))
            shown, wanted = pictures(results[-1]), pictures(stretches[-1].high)
            for alarm in self.guards.watch(shown, wanted, sums["discriminator"]):
                self.journal.say(alarm)
        return sums

    def _target(self, high: Tensor) -> Tensor:
        """What a result should be; never computed in half precision."""
        if not self.settings.sharpen_target:
            return high
        return sharpened(pictures(high)).view_as(high)

    def _terms(self, part: Stretch, result: Tensor, before: LastFrame | None) -> dict[str, Tensor]:
        """The weighted terms of the generator's loss that need no critic, by name."""
        terms = self.terms[self.stage]
        assert terms is not None

        def averaged() -> Tensor:
            self.averaged.load_state_dict(self.average.weights)
            with torch.no_grad(), self._autocast():
                made: Tensor = Unrolled(self.averaged)(part.low, before)[0]
            return made

        return terms(result, self._target(part.high), part.low, averaged)

    def _terms_of_critics(self, part: Stretch, result: Tensor) -> dict[str, Tensor]:
        """The weighted adversarial and perceptual terms of the generator's loss, by name."""
        o = self.options.gan
        terms = {}
        with self._autocast():
            fake = self._judged(self.discriminator, part, result)
            real = self._judged(self.discriminator, part, part.high) if self.adversarial.relative else fake
            if self.perceptual is not None:
                wanted = pictures(self._target(part.high))
                terms["perceptual"] = o.perceptual_weight * self.perceptual(pictures(result), wanted)
        terms["adversarial"] = o.gan_weight * self.adversarial.generator(real, fake)
        return terms

    def _judged(self, critic: Any, part: Stretch, shown: Tensor) -> Tensor:
        """Logits of pictures or clips; a critic of triplets also sees what they were made from."""
        logits: Tensor = (
            critic(shown, part.low) if isinstance(self.discriminator, Triplets) else critic(pictures(shown))
        )
        return logits

    def _gradients_together(self, network: Any, number: int, count: int) -> contextlib.AbstractContextManager[Any]:
        """Processes exchange gradients in the last of the accumulated batches only."""
        return distributed.without_exchange(network) if number + 1 < count else contextlib.nullcontext()

    def _take_step(self, networks: dict[str, nn.Module], losses: list[Tensor]) -> None:
        """Clip and step all optimisers, unless a loss or a gradient is not finite: then the step is skipped."""
        lengths = []
        for name, network in networks.items():
            self.scaler.unscale_(self.optimisers[name])
            limit = self.settings.clip or math.inf
            lengths.append(nn.utils.clip_grad_norm_(network.parameters(), limit))
        # With fp16, infinite gradients occur occasionally, and the scaler lowers its factor (else it is 1). Only when
        # it cannot go lower are they an error.
        fine = self.guards.accept(*losses, *(lengths if self.scaler.get_scale() <= 1 else ()))
        for name in networks:
            if fine:
                self.scaler.step(self.optimisers[name])
            self.optimisers[name].zero_grad(set_to_none=True)
        self.scaler.update()

    # ---- reporting and saving -----------------------------------------------------------------------------------

    def _log(self, values: dict[str, float]) -> None:
        spent = {f"seconds_{name}": seconds for name, seconds in self.journal.seconds.items()}
        self.journal.values(self.stage, self.step, {**values, "skipped": self.guards.skipped, **spent})

    def _validate(self) -> None:
        if not self.validation or self.rank:
            return
        with self.journal.phase("validation"):
            self.averaged.load_state_dict(self.average.weights)
            self.scores, pictures = self.validation.run(self.averaged)
            self.scored_at = self.step
        self.journal.values(self.stage, self.step, {f"val_{k}": v for k, v in self.scores.items()})
        self.journal.pictures(self.stage, self.step, pictures)
        scores = ", ".join(f"{name} {value:.4g}" for name, value in self.scores.items())
        self.journal.say(f"{self.stage} step {self.step}: {scores}")

    def save(self) -> None:
        """Write a checkpoint and remove old ones; done by the first process.

        Raises:
            TrainingError: a weight is not a finite number.
            DiskFullError: no space is left; earlier checkpoints are kept.
        """
        name = checkpoints.name_of(self.stage, self.step)
        if self.rank or self.saved == name:
            return
        folder = self.folder / "checkpoints"
        if self.scored_at == self.step:
            # Best by LPIPS in the gan stage where it is measured: PSNR falls there by design.
            lower = self.stage == "gan" and "lpips" in self.scores
            merit = -self.scores["lpips"] if lower else self.scores["psnr_y"]
            if self.stage not in self.best or merit > self.best[self.stage][0]:
                self.best[self.stage] = (merit, name)
        with self.journal.phase("checkpoint"):
            tensors = {"generator": checkpoints.network_tensors(self.generator), "average": self.average.weights}
            if self.discriminator is not None:
                tensors["discriminator"] = checkpoints.network_tensors(self.discriminator)
            for name, optimiser in self.optimisers.items():
                tensors[f"optimiser_{name}"] = checkpoints.optimiser_tensors(optimiser)
            checkpoints.write(folder, checkpoints.Checkpoint(tensors=tensors, state=self._state()))
            self.saved = name
            checkpoints.prune(folder, self.options.run.keep, {name for _, name in self.best.values()})

    def _state(self) -> dict[str, Any]:
        return {
            "stage": self.stage,
            "step": self.step,
            "random": checkpoints.random_state(),
            "scaler": self.scaler.state_dict(),
            "guards": self.guards.to_json(),
            "scores": self.scores,
            "scored_at": self.scored_at,
            "processes": self.ranks,
            "best": self.best,
            "seconds": self.journal.seconds,
            "options": asdict(self.options),
        }

    def resume(self) -> list[str]:
        """Continue from the newest intact checkpoint; one sentence each about faults of newer checkpoints and about
        changed options.

        Raises:
            TrainingError: there is none, or its networks have a different structure.
        """
        found, path, troubles = checkpoints.latest(self.folder / "checkpoints")
        state, self.saved = found.state, path.name
        self.stage, self.step = state["stage"], state["step"]
        self._arm(self.stage)
        try:
            self.generator.load_state_dict(found.tensors["generator"])
            self.average.weights = {k: v.to(self.device) for k, v in found.tensors["average"].items()}
            if self.discriminator is not None:
                self.discriminator.load_state_dict(found.tensors["discriminator"])
            for name, optimiser in self.optimisers.items():
                checkpoints.load_optimiser(optimiser, found.tensors[f"optimiser_{name}"])
        except (RuntimeError, KeyError, ValueError) as error:
            raise TrainingError(f"{path}: does not fit these options: {error}") from error
        self.scaler.load_state_dict(state["scaler"])
        self.guards = Guards(**{**state["guards"], "skip_limit": self.options.run.skip_limit})
        self.scores, self.scored_at = state["scores"], state["scored_at"]
        self.best = {k: tuple(v) for k, v in state["best"].items()}
        self.journal.seconds.update(state["seconds"])
        checkpoints.set_random_state(state["random"])
        if state["processes"] != self.ranks:
            text = f"{state['processes']} processes trained before, now {self.ranks}: each takes [data] batch"
            self.journal.say(text)
        changed = changes(state["options"], json.loads(json.dumps(asdict(self.options))))
        return [*(f"passed over: {trouble}" for trouble in troubles), *changed]

    def _check_disk(self) -> None:
        weights = sum(p.numel() for p in self.generator.parameters()) * 4  # itself, its average, Adam's two
        weights += sum(p.numel() for p in self.discriminator.parameters()) * 3 if self.discriminator else 0
        if not self.rank:
            for warning in checkpoints.check_room(self.folder, 4 * weights, self.options.run.keep):
                self.journal.say(warning)


def _add(sums: dict[str, Tensor], terms: dict[str, Tensor], share: float) -> None:
    for name, term in terms.items():
        sums[name] = sums.get(name, torch.zeros_like(term.detach())) + term.detach() * share


def start(options: TrainOptions, *, resume: bool) -> dict[str, Any]:
    """Train, from scratch or from the newest checkpoint; returns a summary for the user.

    Raises:
        TrainingError: the run's folder holds checkpoints already and ``resume`` is false; and as :class:`Trainer`.
    """
    folder = Path(options.run.folder).expanduser()
    if not resume and checkpoints.listing(folder / "checkpoints"):
        raise TrainingError(f"{folder}: holds checkpoints already; use `vidsr train resume`, or another [run] folder")
    trainer = Trainer(options)
    if resume:
        for line in trainer.resume():
            trainer.journal.say(line)
    scores = trainer.run()
    return {"folder": str(folder), "stage": trainer.stage, "steps": trainer.step, "scores": scores}
