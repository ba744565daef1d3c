for step; do
  set -- -q -S --content-on-error -O answer --tries=1
  case $step in post:*) set -- "$@" --post-data='a body' ;; esac
  wget "$@" "${step#*:}" 2> head
  code=$(sed -n 's/^ *HTTP\/[0-9.]* \([0-9]*\).*/\1/p' head | tail -n 1)
  [ -n "$code" ] && echo "$code $(cat answer)" || { cat head >&2; echo "failed"; }
done
