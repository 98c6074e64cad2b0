"""What Label Images does in a thread: learning, and making tables."""

import numpy as np
from Orange.data import Table

from orangecontrib.imageanalytics.labels import (
    LabelSession,
    Lesson,
    Proposals,
    Teacher,
    all_table,
    labeled_table,
)
from orangecontrib.imageanalytics.widgets.utils.threads import progress_reporter


def learn(
    teacher: Teacher, labels: np.ndarray, order: str, reference: int | None, state
) -> Lesson:
    """Run in a thread: propose classes, and choose the next images."""
    report = progress_reporter(state, partial=False)
    return teacher(labels, order, reference, report)


def make_tables(
    data: Table,
    rows: np.ndarray,
    session: LabelSession,
    proposals: Proposals,
    name: str,
) -> tuple[Table | None, Table]:
    """Run in a thread: make both outputs."""
    labelled = labeled_table(data, rows, session, name)
    return labelled, all_table(data, rows, session, proposals, name)
