# The NixOS guest, whichever way it boots. ./closure.nix and ./image.nix add how.
#
# Everything that a builder's configuration can change arrives at run time on the seed disk (./seed.nix), so that no
# change of cores, memory, keys, features or shares builds a guest anew.
{
  imports = [
    ./agent.nix
    ./clock.nix
    ./devices.nix
    ./foreign.nix
    ./kernel.nix
    ./lasting.nix
    ./network.nix
    ./nix-daemon.nix
    ./seed.nix
    ./shares.nix
    ./small.nix
    ./ssh.nix
    ./stages.nix
    ./store.nix
    ./user.nix
    ./vsock.nix
  ];

  _module.args.contract = import ../contract.nix;
}
