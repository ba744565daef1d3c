# Steps are get:URL or post:URL; each prints the status and the body, or that it failed.
version=$1; shift
for step; do
  set -- -sS "$version" -o answer -w '%{http_code}'
  case $step in post:*) set -- "$@" -d 'a body' ;; esac
  code=$(curl "$@" "${step#*:}") && echo "$code $(cat answer)" || echo "failed"
done
