# sshd on TCP, for keys alone. Host key and authorized key are the seed's; nothing is generated, nothing in a home.
{
  config,
  contract,
  lib,
  ...
}:
let
  seed = name: "${contract.run_dir}/${contract.seed.${name}}";
in
{
  services.openssh = {
    enable = true;
    ports = [ contract.ports.ssh ];
    generateHostKeys = false;
    hostKeys = [
      {
        path = seed "host_key";
        type = "ed25519";
      }
    ];
    authorizedKeysInHomedir = false;
    authorizedKeysFiles = lib.mkForce [ (seed "authorized_keys") ];
    settings = {
      AllowUsers = [ contract.user ];
      KbdInteractiveAuthentication = false;
      PasswordAuthentication = false;
      PermitRootLogin = "no";
      UsePAM = false;
      UseDns = false;
      # One address is all clients: the forwarder's, or the hypervisor's.
      LoginGraceTime = 600;
      MaxStartups = "1000:30:2000";
      PerSourcePenalties = "no";
      ClientAliveInterval = 60;
      # Without ?root= the daemon's client looks for paths where the system's are. PATH spares the shell's start files.
      SetEnv = lib.concatStringsSep " " [
        "NIX_REMOTE=unix:///nix/var/nix/daemon-socket/socket?root=${contract.data_dir}"
        "PATH=/run/wrappers/bin:/run/current-system/sw/bin"
      ];
    };
  };

  systemd.services.sshd = {
    requires = [ "snowshed-seed.service" ];
    after = [ "snowshed-seed.service" ];
    # Not after the network: it listens on every address that there will be.
    restartTriggers = lib.mkForce [ ];
  };

  networking.firewall.enable = lib.mkDefault false;

  assertions = [
    {
      assertion = config.services.openssh.settings.PasswordAuthentication == false;
      message = "The NixOS guest of snowshed takes keys alone: its extraConfig must leave PasswordAuthentication off.";
    }
  ];
}
