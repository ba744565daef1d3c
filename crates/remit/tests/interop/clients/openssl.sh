for step; do
  url=${step#*://} host=${step#*://}
  host=${host%%/*} path=/${url#*/}
  case $step in
    post:*) printf 'POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 6\r\nConnection: close\r\n\r\na body' "$path" "$host" ;;
    *) printf 'GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$path" "$host" ;;
  esac | openssl s_client -quiet -verify_return_error -verify_hostname "$host" -servername "$host" \
    -connect "$host:443" 2> errors | tr -d '\r' > answer
  code=$(sed -n '1s/^HTTP\/1.1 \([0-9]*\).*/\1/p' answer)
  [ -n "$code" ] && echo "$code $(sed '1,/^$/d' answer)" || { cat errors >&2; echo "failed"; }
done
