"""Alerts from Airflow: a callback for tasks that check."""

from airflow.sdk import Context
from airflow.sdk.bases.notifier import BaseNotifier


class SendAlerts(BaseNotifier):
    """Tells, after a task, of incidents that opened or ended: `default_args={**SendAlerts.after_each_task(), …}`."""

    @classmethod
    def after_each_task(cls) -> dict[str, "SendAlerts"]:
        """Arguments of a task: whether it succeeds, fails, or is to be tried again."""
        tell = cls()
        return {"on_success_callback": tell, "on_failure_callback": tell, "on_retry_callback": tell}

    def notify(self, context: Context) -> None:
        """Send what is due; whatever goes wrong is in the task's log, and the task stays as it ended."""
        from feature_store.quality.alerts import send_due
        from feature_store.settings import load_settings
        from feature_store.warehouse.connection import connect

        with connect() as conn:
            send_due(conn, load_settings())
