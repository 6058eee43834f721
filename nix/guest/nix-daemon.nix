# The guest's Nix. What the host decides comes by inclusion, after what is fixed, and so wins: cores, jobs, free space,
# substituters and keys, proxies' certificates; and what ./foreign.nix found out about this very machine.
{
  config,
  contract,
  lib,
  ...
}:
{
  nix = {
    channel.enable = false;
    settings = {
      builders-use-substitutes = true;
      trusted-users = [ contract.user ];
      experimental-features = [
        "flakes"
        "nix-command"
      ];
      # Told by ./foreign.nix: only what this machine has.
      system-features = lib.mkForce [
        "benchmark"
        "big-parallel"
      ];
    };
    # Features as found, unless the host says which; systems as found, whatever the host says.
    extraOptions = ''
      !include ${contract.run_dir}/features.conf
      !include ${contract.run_dir}/${contract.seed.nix_conf}
      !include ${contract.run_dir}/platforms.conf
    '';
  };

  # No wait for the network, and none for the first connection: one fork less when Nix comes.
  systemd.services.nix-daemon = {
    wantedBy = [ "multi-user.target" ];
    after = [ "snowshed-seed.service" ];
    serviceConfig = {
      EnvironmentFile = "-${contract.run_dir}/${contract.seed.environment}";
      # A build that runs wild dies, and the machine lives: the kernel ends the largest process of all builds when they
      # have used up their memory. A weight, be it the usual one, has systemd share the processors by service.
      MemoryMax = "${toString contract.builds.memory_percent}%";
      TasksMax = "${toString contract.builds.processes_percent}%";
      LimitNPROC = contract.builds.processes_of_each;
      CPUWeight = 100;
      OOMPolicy = "continue";
      OOMScoreAdjust = 500;
    };
  };

  assertions = [
    {
      assertion = config.nix.enable;
      message = "The NixOS guest of snowshed is a machine for Nix: its extraConfig must leave nix.enable on.";
    }
  ];
}
