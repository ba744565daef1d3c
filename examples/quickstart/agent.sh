#!/bin/sh
# A small agent: it does what its manifest permits, then tries what it does not.
set -u

echo "agent: reading documents/plan.md"
lines=$(wc -l < documents/plan.md)
open=$(grep -c '^- \[ \]' documents/plan.md)

echo "agent: writing reports/summary.md"
{
    echo "# Summary"
    echo
    echo "The plan has $lines lines; $open tasks are open:"
    echo
    grep '^- \[ \]' documents/plan.md
} > reports/summary.md || exit 1

echo "agent: trying a file outside the manifest"
cat private/salaries.csv && exit 1

echo "agent: trying to change what it may only read"
(echo "done" >> documents/plan.md) && exit 1

echo "agent: trying to make git run code later"
mkdir -p reports/.git/hooks
(echo "echo owned" > reports/.git/hooks/post-checkout) && exit 1

echo "agent: trying a program outside the manifest"
/usr/bin/id && exit 1

echo "agent: trying a host outside the manifest"
getent hosts example.com && exit 1

echo "agent: done"
exit 0
