# What Nix on the host is told, whatever writes its configuration. Nix skips a machines file that is not there, and
# reads it anew for every build. No blanks: Nix 2.8 takes one before an @ for part of a store's address.
#
# The poll interval: when every slot of a builder is taken, Nix looks again only so often (5 s by default).
{ workingDirectory }:
{
  builders = "@/etc/nix/machines;@${workingDirectory}/machines";
  builders-use-substitutes = true;
  build-poll-interval = 1;
}
