#!/usr/bin/python3
"""Closes a quarter: reads the ledger, asks the internal server for rates, posts the totals.

Standard library only: under its manifest the agent may start no other program.
"""

import csv
import json
import sys
import urllib.request

SERVER = "https://ledger.corp.example"


def rates():
    with urllib.request.urlopen(f"{SERVER}/api/v1/rates", timeout=20) as answer:
        return json.load(answer)


def totals(path, rate):
    sums = {}
    with open(path, newline="") as lines:
        for row in csv.DictReader(lines):
            amount = float(row["amount"]) * rate[row["currency"]]
            sums[row["account"]] = round(sums.get(row["account"], 0.0) + amount, 2)
    return sums


def post(quarter, sums):
    body = json.dumps(sums).encode()
    request = urllib.request.Request(
        f"{SERVER}/api/v1/closings/{quarter}",
        data=body,
        headers={"Content-Type": "application/json"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.status


def main():
    quarter = sys.argv[1] if len(sys.argv) > 1 else "2026-q1"
    sums = totals(f"ledger/{quarter}.csv", rates())
    print(json.dumps(sums, sort_keys=True))
    print("posted:", post(quarter, sums))


if __name__ == "__main__":
    main()
