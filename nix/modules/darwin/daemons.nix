# launchd: a daemon for every builder, whose socket launchd holds, and one that makes them known to Nix.
#
# macOS names a daemon after its program and lets people switch it off by that name, so the program is not `sh`: a
# launcher outside the Nix store, which may not be mounted yet, waits for what it is told to start.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.snowshed;

  launcher = pkgs.writeScript "snowshed" (builtins.readFile ../../packages/launcher.sh);
  installed = "/Library/PrivilegedHelperTools/snowshed";

  # Programs that a driver starts and that macOS does not have.
  programs =
    builder:
    {
      vfkit = [ pkgs.vfkit ];
      krunkit = [ pkgs.krunkit ];
      qemu = [ pkgs.qemu ];
    }
    .${builder.engine} or [ ];

  daemon = name: builder: {
    name = "snowshed-${name}";
    value.serviceConfig = {
      ProgramArguments = [
        installed
        "${cfg.package}/bin/snowshed"
        "run"
        "-b"
        name
        "--config"
        "${builder.settingsFile}"
        "--state-dir"
        builder.state
      ];
      UserName = cfg.user;
      GroupName = cfg.user;
      InitGroups = true;
      WorkingDirectory = builder.state;
      Umask = 63; # 0077
      EnvironmentVariables = {
        HOME = builder.state;
        PATH = lib.concatStringsSep ":" (
          map (program: "${program}/bin") (programs builder)
          ++ [
            "/usr/bin"
            "/bin"
            "/usr/sbin"
            "/sbin"
          ]
        );
      };
      Sockets.ssh = {
        SockNodeName = "127.0.0.1";
        SockServiceName = toString builder.port;
        SockFamily = "IPv4";
        SockType = "stream";
        SockPassive = true;
      };
      # A builder that was stopped stays so until somebody connects; one that failed is started again.
      RunAtLoad = !builder.onDemand.enable;
      KeepAlive = lib.mkIf (!builder.onDemand.enable) { SuccessfulExit = false; };
      ExitTimeOut = builder.stopPatience;
      ThrottleInterval = 1;
      SoftResourceLimits.NumberOfFiles = 16384;
      HardResourceLimits.NumberOfFiles = 16384;
      ProcessType = "Interactive";
      StandardOutPath = "${builder.state}/service.log";
      StandardErrorPath = "${builder.state}/service.log";
    };
  };

  registration = {
    ProgramArguments = [
      installed
      "${cfg.package}/libexec/snowshed-register"
      "${cfg.planFile}"
    ];
    RunAtLoad = true;
    # Written when a guest starts, which is when it is known what it has.
    WatchPaths = lib.mapAttrsToList (_: builder: "${builder.state}/vm.pid") cfg.described;
    StandardErrorPath = "/var/log/snowshed-registration.log";
  };
in
{
  config = lib.mkMerge [
    {
      services.snowshed.asUser = [
        "/usr/bin/sudo"
        "-n"
        "-H"
        "-u"
        cfg.user
        "--"
      ];
    }

    (lib.mkIf cfg.enable {
      launchd.daemons = lib.mapAttrs' daemon cfg.described // {
        snowshed-registration.serviceConfig = registration;
      };

      system.activationScripts.extraActivation.text = lib.mkAfter ''
        if ! cmp -s ${launcher} ${installed}; then
          install -d -o root -g wheel -m 0755 /Library/PrivilegedHelperTools
          install -o root -g wheel -m 0755 ${launcher} ${installed}.new
          mv -f ${installed}.new ${installed}
        fi
      '';
    })
  ];
}
