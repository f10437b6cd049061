"""What tests/functional/quick.py does in fewer steps comes to what moto itself comes to."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
from moto import mock_aws
from moto.dynamodb.parsing.expressions import UpdateExpressionParser

from tests.functional.quick import answers_worked_out_once

ROOT = Path(__file__).parents[2]
ITEM: dict[str, Any] = {
    "id": {"S": "one"},
    "my_text": {"S": ""},
    "my_number": {"N": "4.5"},
    "my_yes": {"BOOL": False},
    "my_none": {"NULL": True},
    "my_names": {"SS": ["a", "b"]},
    "my_numbers": {"NS": ["1"]},
    "my_bytes": {"B": b"\x00\xff"},
    "my_many": {"BS": [b"one"]},
    "my_map": {
        "M": {"in": {"M": {"deep": {"L": [{"S": "x"}, {"B": b"y"}, {"N": "1"}]}}}, "empty": {"M": {}}}
    },
    "my_list": {"L": []},
}
UPDATES: tuple[tuple[str, dict[str, Any], dict[str, str]], ...] = (
    ("SET #a = :v, my_map.#b = :v REMOVE my_text, my_list ADD my_number :n DELETE my_names :s",
     {":v": {"S": "v"}, ":n": {"N": "2"}, ":s": {"SS": ["a"]}}, {"#a": "my_fresh", "#b": "new"}),
    ("SET my_number = my_number - :n, my_fresh = if_not_exists(my_fresh, :v)",
     {":n": {"N": "1"}, ":v": {"S": "v"}}, {}),
    ("SET my_list = list_append(my_list, :l) ADD my_counter :n",
     {":l": {"L": [{"S": "x"}]}, ":n": {"N": "1"}}, {}),
    ("ADD my_number :n ADD my_counter :n", {":n": {"N": "1"}}, {}),
    ("SET my_map.a = :n, my_map.a.b = :n", {":n": {"N": "1"}}, {}),
    ("SET #a = :n, #b = :n", {":n": {"N": "1"}}, {"#a": "same", "#b": "same"}),
    ("SET #a = :n", {":n": {"N": "1"}}, {}),
    ("SET a = :m", {":n": {"N": "1"}}, {}),
    ("SET a = = b", {}, {}),
    ("SET my_number = :n + :v", {":n": {"N": "1"}, ":v": {"S": "v"}}, {}),
)  # fmt: skip


def told(dynamodb: Any, update: str, values: dict[str, Any], names: dict[str, str]) -> Any:
    """What becomes of the item, twice: parsed anew and parsed before; or the error."""
    said = []
    for id_ in ("one", "not there yet"):
        asked: dict[str, Any] = {"TableName": "Table", "Key": {"id": {"S": id_}}, "UpdateExpression": update}
        asked |= {"ExpressionAttributeValues": values} if values else {}
        asked |= {"ExpressionAttributeNames": names} if names else {}
        try:
            said.append(dynamodb.update_item(**asked, ReturnValues="ALL_NEW")["Attributes"])
        except Exception as error:  # noqa: BLE001 - moto's own defects have to stay, too
            said.append([type(error).__name__, str(error)])
    return [said, dynamodb.scan(TableName="Table")["Items"]]


def story() -> list[Any]:
    said = []
    with mock_aws():
        dynamodb = boto3.client("dynamodb", region_name="us-east-1")
        dynamodb.create_table(
            TableName="Table",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        for update in UPDATES:
            dynamodb.put_item(TableName="Table", Item=ITEM)
            said.append(told(dynamodb, *update))
            said.append(dynamodb.get_item(TableName="Table", Key={"id": {"S": "one"}})["Item"])
    return said


def compare() -> None:
    """In a process of its own: in others the session is quick already."""
    plain = UpdateExpressionParser.make
    itself = story()
    with answers_worked_out_once():
        assert UpdateExpressionParser.make is not plain
        assert story() == itself


def test_every_answer_is_what_moto_says_itself() -> None:
    program = f"from {compare.__module__} import compare; compare()"
    keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=os.environ | keys, check=True)
