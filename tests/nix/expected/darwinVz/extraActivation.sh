echo "setting up the user of snowshed..." >&2

snowshedNumber() {
  dscl . -read "$1" "$2" 2> /dev/null | sed -n "s/^$2: //p" || true
}
snowshedClaim() {
  local record=$1 key=$2 number
  number=$(snowshedNumber "$record" "$key")
  if [ -n "$number" ]; then
    if [ "$number" -ne 347 ]; then
      echo "error: $record has the number $number and not 347: set services.snowshed.uid = $number" >&2
      exit 1
    fi
    return
  fi
  if [ -n "$(dscl . -search "${record%/*}" "$key" 347)" ]; then
    echo "error: the number 347 is taken: set services.snowshed.uid to a free one" >&2
    exit 1
  fi
  dscl . -create "$record"
  dscl . -create "$record" "$key" 347
  dscl . -create "$record" RealName snowshed
  dscl . -create "$record" Password '*'
}

snowshedClaim /Groups/_snowshed PrimaryGroupID
snowshedClaim /Users/_snowshed UniqueID
dscl . -create /Users/_snowshed PrimaryGroupID 347
dscl . -create /Users/_snowshed NFSHomeDirectory /var/lib/darwin-vz-nix
dscl . -create /Users/_snowshed UserShell /usr/bin/false
dscl . -create /Users/_snowshed IsHidden 1

install -d -o root -g wheel -m 0755 /var/lib/darwin-vz-nix
install -d -o _snowshed -g _snowshed -m 0711 /var/lib/darwin-vz-nix/default


if ! cmp -s /nix/store/-snowshed /Library/PrivilegedHelperTools/snowshed; then
  install -d -o root -g wheel -m 0755 /Library/PrivilegedHelperTools
  install -o root -g wheel -m 0755 /nix/store/-snowshed /Library/PrivilegedHelperTools/snowshed.new
  mv -f /Library/PrivilegedHelperTools/snowshed.new /Library/PrivilegedHelperTools/snowshed
fi
