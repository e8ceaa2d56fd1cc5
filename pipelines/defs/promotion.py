"""Promotion in Dagster: a sensor that sees what is decided in MLflow, and jobs that decide from Dagster's page."""

from collections.abc import Callable

import dagster as dg
from pydantic import Field

from gtl_core.errors import GateRefused, GtlError
from gtl_core.homes import Homes
from gtl_core.registry.tracking import TrackingStore, has_store
from pipelines.promotions import model_store, sentence, tell, tend


class Promotion(dg.Config):
    """A version that a person makes champion."""

    model: str = Field(description="The classifier, such as gtl-demo-classifier; its generator follows.")
    version: str = Field(description="Its version, a number.")
    by: str = Field(description="Who approves; the history keeps it.")
    reason: str = Field(description="Why; the history keeps it.")
    force: bool = Field(default=False, description="Promote in spite of what speaks against it; this is recorded.")


class Rollback(dg.Config):
    """A model whose champion before the present one comes back."""

    model: str = Field(description="The classifier, such as gtl-demo-classifier; its generator follows.")
    by: str = Field(description="Who decides; the history keeps it.")
    reason: str = Field(description="Why; the history keeps it.")
    to: str | None = Field(default=None, description="The version to go back to; without it, the champion before.")


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Follows approvals made by tags in MLflow, and records aliases that were moved outside GTL.",
)
def approvals(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Follows approvals made by tags of a version in MLflow, and records aliases that were moved outside GTL."""
    homes = Homes.locate()
    if not has_store(homes):
        return dg.SkipReason("no models yet")
    return dg.SkipReason(tend(homes, context.instance, context.log))


@dg.op
def promote_version(context: dg.OpExecutionContext, config: Promotion) -> None:
    """Makes a version the champion, as `gtl promote` does."""
    from gtl_core.registry.approval import approve_version

    def make(homes: Homes, store: TrackingStore) -> str:
        promoted = approve_version(
            homes, store, config.model, config.version, by=config.by, reason=config.reason, force=config.force
        )
        return sentence(promoted)

    _decide(context, config.model, make)


@dg.op
def roll_back(context: dg.OpExecutionContext, config: Rollback) -> None:
    """Brings an earlier champion back, as `gtl rollback` does."""
    from gtl_core.registry.approval import signed
    from gtl_core.registry.promotion import rollback as roll

    def make(_homes: Homes, store: TrackingStore) -> str:
        by, reason = signed(config.by, config.reason)
        return sentence(roll(store, config.model, config.to, by=by, reason=reason))

    _decide(context, config.model, make)


@dg.job
def promote() -> None:
    """Makes a version of a model the champion, with a name and a reason that its history keeps."""
    promote_version()


@dg.job
def rollback() -> None:
    """Brings an earlier champion back, and stops automatic promotion until `gtl unfreeze`."""
    roll_back()


def _decide(context: dg.OpExecutionContext, model: str, make: Callable[[Homes, TrackingStore], str]) -> None:
    """Lets a decision be made and told; a refusal fails the run in one line, and no retry can change it."""
    homes = Homes.locate()
    try:
        store = model_store(homes)
        context.log.info(make(homes, store))
    except GtlError as refusal:
        if isinstance(refusal, GateRefused):
            tell(context.instance, store, model)
        raise dg.Failure(str(refusal), allow_retries=False) from refusal
    tell(context.instance, store, model)
