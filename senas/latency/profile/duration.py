"""Time that measuring a profile will take, known once its parts have run once."""

from collections.abc import Mapping

from senas.latency.profile.plan import SESSIONS, Plan

_WARM_UP_ROUNDS = 4  # of the networks of a session, usually
_PART_ROUNDS, _NETWORK_ROUNDS = 3, 6  # at least, the warm-up of the parts included


def expected_seconds(
    plan: Plan,
    sample_seconds: Mapping[str, float],
    *,
    seconds: float,
    done: int,
    start_seconds: float,
    build_seconds: float,
) -> tuple[float, float]:
    """Return the least and the most seconds that the sessions of a plan will take.

    The least are enough if the parts are precise at once; networks rarely are before the time limit. A sample of a
    network takes about as long as those of its parts.

    Args:
        plan: Plan to measure.
        sample_seconds: Time that one sample of each part takes, by its name.
        seconds: Time limit of the rounds, of all sessions together.
        done: Number of sessions that were measured before.
        start_seconds: Time until the process of a session has imported what it needs.
        build_seconds: Time to build one part and to prepare it for measuring.
    """
    limit = seconds / SESSIONS / 2  # of the parts, and again of the networks
    part_round, least, most = sum(sample_seconds.values()), 0.0, 0.0
    for number in range(done, SESSIONS):
        parts = [part for arch in (*plan.anchors, *plan.session(number)) for part in arch.parts()]
        network_round = sum(
            sample_seconds.get(part.key, sample_seconds[part.without_se().key]) for part in parts
        )  # only bodies are sure to be measured
        others = start_seconds + build_seconds * len(parts) + _WARM_UP_ROUNDS * network_round
        others += max(limit, _NETWORK_ROUNDS * network_round)
        least += others + _PART_ROUNDS * part_round
        most += others + max(limit, _PART_ROUNDS * part_round)
    return least, most
