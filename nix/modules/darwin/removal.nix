# Turned off: what the activation made goes, after launchd has let go of the daemons. The builders' disks and keys stay,
# unless somebody said otherwise.
{ config, lib, ... }:
let
  cfg = config.services.snowshed;
  sh = lib.escapeShellArg;
  directory = cfg.workingDirectory;
in
{
  options.services.snowshed.removeData = lib.mkOption {
    type = lib.types.bool;
    default = false;
    description = "Whether turning the service off removes the working directory, disks and all.";
  };

  config = lib.mkIf (!cfg.enable) {
    system.activationScripts.postActivation.text = ''
      rm -f /Library/PrivilegedHelperTools/snowshed
      if [ "$(dscl . -read /Users/${cfg.user} UniqueID 2> /dev/null)" = 'UniqueID: ${toString cfg.uid}' ]; then
        echo "removing the user of snowshed..." >&2
        dscl . -delete /Users/${cfg.user}
        dscl . -delete /Groups/${cfg.user} || true
        rm -rf ${sh directory}/machines ${sh directory}/known_hosts ${sh directory}/registration.json ${sh directory}/keys
        ${
          if cfg.removeData then
            ''
              rm -rf ${sh directory}
            ''
          else
            ''
              [ ! -d ${sh directory} ] || echo "the builders' disks stay in ${directory}" >&2
            ''
        }
      fi
    '';
  };
}
