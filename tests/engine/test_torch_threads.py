import threading

import torch

from orangecontrib.imageanalytics.engine.torch_threads import SingleThreaded


def test_threads_of_torch_are_restored():
    before = torch.get_num_threads()
    inside = []

    def work():
        SingleThreaded.start_thread()
        inside.append(torch.get_num_threads())

    def ask():
        inside.append(torch.get_num_threads())

    def in_thread(target):
        thread = threading.Thread(target=target)
        thread.start()
        thread.join()

    with SingleThreaded(), SingleThreaded():
        in_thread(work)
    in_thread(ask)
    assert inside == [1, before]
    assert torch.get_num_threads() == before
