"""A server that plays S3 on this computer, and can be busy."""

from __future__ import annotations

import threading

import boto3
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    create_backend_app,
)
from werkzeug.serving import WSGIRequestHandler, make_server

BUCKET = "photos"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "NO_PROXY": "127.0.0.1",
}
_BUSY = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b"<Error><Code>%s</Code><Message>Please reduce your request rate.</Message></Error>"
)


class _Quiet(WSGIRequestHandler):
    def log(self, *_):
        pass


class S3Server:
    """A running server with an empty bucket.

    Attributes
    ----------
    endpoint : str
        Its address.
    bucket : str
    client
        Of boto3, for the tests' own use.
    requests : list of (str, str)
        Method and path of what was asked for so far.
    refusals : dict of str to int
        Parts of paths, and how many more requests for each of them get the answer 503;
        "" is for all.
    status, code : str
        The line of such an answer, and the code in it.
    """

    def __init__(self):
        self.requests: list[tuple[str, str]] = []
        self.refusals: dict[str, int] = {}
        self.status, self.code = "503 Slow Down", "SlowDown"
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()
        self._server = make_server(
            "127.0.0.1", 0, self._answer, threaded=True, request_handler=_Quiet
        )
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            region_name="us-east-1",
        )
        self.bucket = BUCKET
        self.client.create_bucket(Bucket=BUCKET)

    def put(self, key: str, content: bytes = b"") -> str:
        """Store an object; return its address."""
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content)
        return f"s3://{BUCKET}/{key}"

    def clear(self) -> None:
        """Remove all objects, and answer everything again."""
        self.refusals.clear()
        self.status, self.code = "503 Slow Down", "SlowDown"
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        for page in pages:
            keys = [{"Key": entry["Key"]} for entry in page.get("Contents", ())]
            if keys:
                self.client.delete_objects(Bucket=BUCKET, Delete={"Objects": keys})
        self.requests.clear()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, environment, start_response):
        path = environment["PATH_INFO"]
        with self._lock:
            self.requests.append((environment["REQUEST_METHOD"], path))
            refused = self._is_refused(path)
        if refused:
            start_response(self.status, [("Content-Type", "application/xml")])
            return [_BUSY % self.code.encode()]
        return self._moto(environment, start_response)

    def _is_refused(self, path: str) -> bool:
        for part, left in self.refusals.items():
            if part in path and left:
                self.refusals[part] -= 1
                return True
        return False
