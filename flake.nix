{
  description = "A Linux machine that is ready whenever Nix needs one";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixpkgs-unstable";

  outputs = inputs: import ./nix/outputs inputs;
}
