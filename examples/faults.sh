#!/bin/sh
# Drives the faults of a running csisim with curl alone.
#
#   csisim serve --endpoint unix:///tmp/csi.sock --control 127.0.0.1:8474 &
#   CSISIM_CONTROL=http://127.0.0.1:8474 examples/faults.sh
set -eu
: "${CSISIM_CONTROL:?the URL that csisim serve --control prints}"

call() { # method, path, JSON
    curl --silent --show-error --fail-with-body --request "$1" "$CSISIM_CONTROL$2" \
        --header 'content-type: application/json' ${3:+--data "$3"} && echo
}

trap 'call POST /reset' EXIT # heal, whatever happens

echo "--- two rules, both or none"
call POST /rules '[
    {"name": "busy", "rule": "mount.umount{per=vol}: 2*error(EBUSY)"},
    {"name": "lost", "rule": "rpc.CreateVolume.after: 10%drop"}
]'

echo "--- a rule that is wrong is refused, and says where"
call POST /rules '{"rule": "mount.umount: error(EBUSI)"}' || printf '\n(refused)\n'

echo "--- change one, take the other out"
call PATCH /rules/busy '{"rule": "mount.umount{vol=pvc-7*}: error(EBUSY)"}'
call DELETE /rules/lost

echo "--- cut the NAS off, and see what happened so far"
call POST /disconnect-nas
call GET '/events?kind=fault&limit=10'
call GET '/sites?pattern=mount.umount'
