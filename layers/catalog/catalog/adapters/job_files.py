"""The jobs bucket: the planned lines of a step, and the lines of a round, which the state machine reads."""

from collections.abc import Iterable, Iterator

from botocore.exceptions import ClientError

from catalog.adapters.sdk import client


class JobFiles:
    """JSON Lines under `jobs/{job}/`."""

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket

    def write(self, key: str, lines: Iterable[str]) -> None:
        """Store the lines, each a JSON object without a line break."""
        body = "".join(f"{line}\n" for line in lines).encode()
        client("s3").put_object(
            Bucket=self.bucket, Key=key, Body=body, ContentType="application/jsonl; charset=utf-8"
        )

    def read(self, key: str) -> Iterator[str]:
        """The lines as text; none if the file is gone."""
        try:
            body = client("s3").get_object(Bucket=self.bucket, Key=key)["Body"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return
            raise
        with body:
            for line in body.iter_lines():
                yield line.decode()
