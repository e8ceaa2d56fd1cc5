"""The sensor that tells people what they should know."""

import dagster as dg

from gtl_core.homes import Homes


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells of failures, failed checks, drift, challengers that wait, promotions and rollbacks: in its log, "
    "and by webhook and e-mail where GTL_ALERT_WEBHOOK, GTL_ALERT_EMAIL and GTL_SMTP are set.",
)
def alerts(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Tells each thing once; what could not be delivered is tried again for a day."""
    from pipelines.alerts import Bookmark, tend

    cursor = tend(context.instance, Homes.locate(), context.cursor, context.log)
    waiting = len(Bookmark.read(cursor).waiting)
    reason = f"still to be delivered: {waiting}" if waiting else "nothing is left to be told"
    return dg.SensorResult(skip_reason=reason, cursor=cursor)
