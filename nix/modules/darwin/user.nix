# The builders' own user and group, without privileges, and the directories that are theirs.
#
# Not by users.users: that gives a user the group `staff`, never removes one with a number up to 501, and stops the
# activation when a home changes. Nix takes every member of its group `nixbld` for a build user and kills its processes
# after a build: this user is in no group but its own.
{
  config,
  lib,
  ...
}:
let
  cfg = config.services.snowshed;
  id = toString cfg.uid;
  sh = lib.escapeShellArg;

  directory = builder: ''
    install -d -o ${cfg.user} -g ${cfg.user} -m 0711 ${sh builder.state}
  '';
in
{
  options.services.snowshed = {
    user = lib.mkOption {
      type = lib.types.str;
      default = "_snowshed";
      description = "The user and group that the builders run as.";
    };

    uid = lib.mkOption {
      type = lib.types.ints.positive;
      default = 347;
      description = "The number of that user, and of its group.";
    };
  };

  config = lib.mkIf cfg.enable {
    system.activationScripts.extraActivation.text = ''
      echo "setting up the user of snowshed..." >&2

      snowshedNumber() {
        dscl . -read "$1" "$2" 2> /dev/null | sed -n "s/^$2: //p" || true
      }
      snowshedClaim() {
        local record=$1 key=$2 number
        number=$(snowshedNumber "$record" "$key")
        if [ -n "$number" ]; then
          if [ "$number" -ne ${id} ]; then
            echo "error: $record has the number $number and not ${id}: set services.snowshed.uid = $number" >&2
            exit 1
          fi
          return
        fi
        if [ -n "$(dscl . -search "''${record%/*}" "$key" ${id})" ]; then
          echo "error: the number ${id} is taken: set services.snowshed.uid to a free one" >&2
          exit 1
        fi
        dscl . -create "$record"
        dscl . -create "$record" "$key" ${id}
        dscl . -create "$record" RealName snowshed
        dscl . -create "$record" Password '*'
      }

      snowshedClaim /Groups/${cfg.user} PrimaryGroupID
      snowshedClaim /Users/${cfg.user} UniqueID
      dscl . -create /Users/${cfg.user} PrimaryGroupID ${id}
      dscl . -create /Users/${cfg.user} NFSHomeDirectory ${sh cfg.workingDirectory}
      dscl . -create /Users/${cfg.user} UserShell /usr/bin/false
      dscl . -create /Users/${cfg.user} IsHidden 1

      install -d -o root -g wheel -m 0755 ${sh cfg.workingDirectory}
      ${lib.concatMapStrings directory (lib.attrValues cfg.described)}
    '';
  };
}
