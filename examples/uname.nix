# The smallest build that shows where it ran.
{ system }:
derivation {
  name = "uname";
  inherit system;
  builder = "/bin/sh";
  args = [
    "-c"
    "uname -a > $out"
  ];
}
