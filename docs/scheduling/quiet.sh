#!/bin/sh
# Runs a command, and shows what it says only where somebody should read it: not for 0 (done), and not for 75 (stopped, or
# another run is at work: the next call goes on). cron mails what is shown.
said=$("$@" 2>&1)
code=$?
case $code in
0 | 75) ;;
*) printf '%s\n' "$said" "exit code $code" ;;
esac
exit "$code"
