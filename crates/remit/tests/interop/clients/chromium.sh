# Chromium's own sandbox needs user namespaces, which a session has none of.
for step; do
  case $step in post:*) echo -; continue ;; esac
  chromium --headless --no-sandbox --disable-gpu --user-data-dir=/tmp/profile --timeout=20000 \
    --dump-dom "${step#*:}" 2> errors | tr '\n' ' ' > answer
  text=$(sed -n 's/.*<pre[^>]*>\(.*\)<\/pre>.*/\1/p' answer)
  case $text in
    *denied_by_remit*) echo "403 $text" ;;
    ?*) echo "200 $text" ;;
    *) tail -n 5 errors >&2; echo "failed" ;;
  esac
done
