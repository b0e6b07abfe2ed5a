"""Alerts: each incident is told once when it opens and once when it is over, in the log and to a webhook.

The webhook is FEATURE_STORE_ALERT_WEBHOOK. Its address is a secret, for whoever knows it may write there: it is in no
log and in no message.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from html import escape
from typing import Literal

import httpx
import psycopg
import stamina
from psycopg.rows import class_row
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from feature_store.settings import Settings

log = logging.getLogger(__name__)

# httpx logs whole URLs at INFO.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)

WEBHOOK = "FEATURE_STORE_ALERT_WEBHOOK"
TIMEOUT_SECONDS = 5.0
ATTEMPTS = 3

_DUE = """
select event, incident_id, subject, feature_id, source, rule, severity, observed, expected, docs, opened_at,
  last_seen_at, recovered_at
from quality.incidents cross join (values ('opened'), ('recovered')) as notices (event)
where case event
  when 'opened' then alerted_at is null
  else recovered_at is not null and recovery_alerted_at is null
end
order by incident_id, event
"""

_IS_DUE = {
    "opened": "select alerted_at is null from quality.incidents where incident_id = %s",
    "recovered": """
        select alerted_at is not null and recovery_alerted_at is null from quality.incidents where incident_id = %s
    """,
}
_TOLD = {
    "opened": "update quality.incidents set alerted_at = ops.now() where incident_id = %s",
    "recovered": "update quality.incidents set recovery_alerted_at = ops.now() where incident_id = %s",
}


class Notice(BaseModel):
    """What is told of an incident: the machine-readable part of what the webhook gets, camelCase there."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)

    event: Literal["opened", "recovered"]
    incident_id: int
    subject: str
    feature_id: str | None
    source: str
    rule: str
    severity: Literal["block", "warn"]
    observed: str
    """What was found broken, of a recovered incident the last time."""
    expected: str
    docs: str | None
    opened_at: datetime
    last_seen_at: datetime
    recovered_at: datetime | None

    def __str__(self) -> str:
        where = f" {self.docs}" if self.docs else ""
        since = f"{self.opened_at:%Y-%m-%d %H:%M} UTC"
        found = f"observed {self.observed}; expected {self.expected}"
        if self.event == "recovered":
            until = f"{self.recovered_at:%Y-%m-%d %H:%M} UTC"
            return f"recovered: {self.subject}: {self.rule} holds again: broken {since} to {until}, {found}.{where}"
        return f"{self.severity}: {self.subject}: {self.rule} broken since {since}: {found}.{where}"


class _NotTakenError(Exception):
    """The webhook answered, and did not take this notice."""


class _AwayError(Exception):
    """The webhook does not answer, or not now."""


def send_due(conn: psycopg.Connection, settings: Settings) -> int:
    """Tell what was not told yet and return how many notices that were. Commits, after each notice.

    Without a webhook they are logged. A notice that the webhook does not take is logged as an error and stays due, so
    that the next call tries again; nothing is raised. Callers at once share the notices and tell none twice; a
    process that is killed between the webhook's answer and the commit makes the next one tell that notice again.
    An incident that is over before anybody was told of it gives both notices, one after the other.
    """
    with conn.cursor(row_factory=class_row(Notice)) as cursor:
        due = cursor.execute(_DUE).fetchall()
    told = 0
    for notice in due:
        with _claimed(conn, notice) as is_ours:
            if not is_ours:
                continue
            try:
                _tell(settings, notice)
            except _NotTakenError as error:
                log.error("%s; it stays due: %s", error, notice)
                continue
            except _AwayError as error:
                log.error("%s; what is due is told with the next check, first: %s", error, notice)
                break
            conn.execute(_TOLD[notice.event], (notice.incident_id,))
            told += 1
    conn.commit()
    return told


@contextmanager
def _claimed(conn: psycopg.Connection, notice: Notice) -> Iterator[bool]:
    """Whether the notice is ours to send: nobody else is at it, nor sent it since we looked, and its turn has come."""
    # The lock is the session's, not a row's: readers of what committed would wait for the transaction that holds that.
    lock = ("quality.incidents", notice.incident_id)
    if not _says(conn, "select pg_try_advisory_lock(hashtext(%s), %s::int)", lock):
        conn.commit()
        yield False
        return
    try:
        is_due = _says(conn, _IS_DUE[notice.event], (notice.incident_id,))
        conn.commit()
        yield is_due
        conn.commit()
    finally:
        if not conn.closed:
            conn.rollback()
            conn.execute("select pg_advisory_unlock(hashtext(%s), %s::int)", lock)
            conn.commit()


def _says(conn: psycopg.Connection, question: str, parameters: tuple[object, ...]) -> bool:
    row = conn.execute(question.encode(), parameters).fetchone()
    return bool(row and row[0])


def _tell(settings: Settings, notice: Notice) -> None:
    if settings.alert_webhook:
        # Slack's way of escaping, lest a number that a source invented calls the whole channel.
        text = escape(str(notice), quote=False)
        _post(
            settings.alert_webhook.get_secret_value(), {"text": text, **notice.model_dump(mode="json", by_alias=True)}
        )
    is_grave = notice.event == "opened" and notice.severity == "block"
    log.log(logging.ERROR if is_grave else logging.WARNING, "%s", notice)


def _post(url: str, content: dict[str, object]) -> None:
    """Raise unless the webhook took it, in the end."""
    # As a context: the decorator logs the arguments.
    for attempt in stamina.retry_context(on=_AwayError, attempts=ATTEMPTS, timeout=None, wait_max=1):
        with attempt:
            _post_once(url, content)


def _post_once(url: str, content: dict[str, object]) -> None:
    # What httpx says may hold the address, so no word of it goes on.
    try:
        answer = httpx.post(url, json=content, timeout=TIMEOUT_SECONDS)
    except httpx.TransportError as error:
        raise _AwayError(f"{WEBHOOK} does not answer ({type(error).__name__})") from None
    except Exception as error:
        raise _NotTakenError(f"{WEBHOOK} cannot be asked: is it an address? ({type(error).__name__})") from None
    if answer.is_server_error or answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
        raise _AwayError(f"{WEBHOOK} answered {answer.status_code}")
    if not answer.is_success:
        raise _NotTakenError(f"{WEBHOOK} answered {answer.status_code}")
