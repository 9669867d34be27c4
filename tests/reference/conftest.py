"""Prints what the reference cases came to: cases, passed and the largest deviation by topic."""


def pytest_terminal_summary(terminalreporter):
    topics = {}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, value in getattr(report, "user_properties", []):
                if name == "reference":
                    topic, passed, deviation = value
                    topics.setdefault(topic, []).append((bool(passed), float(deviation)))
    if not topics:
        return
    terminalreporter.section("reference cases (R)")
    terminalreporter.line(f"{'topic':<14}{'cases':>7}{'passed':>8}   largest deviation (share of the tolerance)")
    for topic in sorted(topics):
        rows = topics[topic]
        passed = sum(ok for ok, _ in rows)
        worst = max(deviation for _, deviation in rows)
        terminalreporter.line(f"{topic:<14}{len(rows):>7}{passed:>8}   {worst:.1e}")
    everything = [ok for rows in topics.values() for ok, _ in rows]
    terminalreporter.line(f"{'all':<14}{len(everything):>7}{sum(everything):>8}")
