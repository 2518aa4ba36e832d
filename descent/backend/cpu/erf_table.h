// The error function and its slope in pieces, for tile_math-inl.h and native_functions.cpp.
//
// |x| is taken from the nearest of 32 centres, which are about erf_step apart: t = |x| - centre, |t| < 0.0708, and
// erf(|x|) is a polynomial in t whose derivative is the slope. The first piece has no constant term, so that erf keeps
// its relative precision near 0; the last is 1.0f, for all that is larger.
//
// Fitted in long double: a centre is that float near a multiple of erf_step whose erf and slope are nearest to floats
// (Gal and Bachelis, "An accurate elementary mathematical library for the IEEE floating point standard", 1991), so that
// the first two coefficients are exact; the others are the minimax fit, by reweighted least squares, of erf to 5e-10
// and of the slope to 2e-9, each rounded before the next lower one was fitted.
#pragma once

namespace descent::cpu {

inline constexpr int erf_pieces = 32, erf_degree = 5;
inline constexpr float erf_step = 0.140625f, erf_last = 31 * erf_step;  // the last centre
// What 2 / sqrt(pi), the first slope, is beyond its float: it counts where there is no constant.
inline constexpr float erf_rest = 6.05739032e-08f;

// A float with this added has the nearest whole number in its last bits.
inline constexpr float whole_in_last_bits = 12582912;

inline constexpr float erf_centres[erf_pieces] = {
    0.0f,        0.14026542f, 0.281023234f, 0.421676785f, 0.562185168f, 0.702778459f, 0.843657792f, 0.984166205f,
    1.12468731f, 1.26588821f, 1.40666425f,  1.54678249f,  1.6871742f,   1.82853568f,  1.96906173f,  2.10904908f,
    2.24986911f, 2.39021444f, 2.53113961f,  2.67220545f,  2.81214738f,  2.95311975f,  3.09414506f,  3.24436355f,
    3.37247396f, 3.51719141f, 3.65332246f,  3.80687475f,  3.94749975f,  4.08812475f,  4.22874975f,  4.359375f};

// From the constants up.
inline constexpr float erf_coefficients[erf_degree + 1][erf_pieces] = {
    {0.0f,         0.157240704f, 0.308947295f, 0.449052572f, 0.573415518f, 0.679718137f, 0.767174602f, 0.83602345f,
     0.888288677f, 0.926584065f, 0.95333451f,  0.971292555f, 0.98296839f,  0.990288615f, 0.99464184f,  0.997142315f,
     0.998536348f, 0.999275863f, 0.999655843f, 0.999842584f, 0.999930203f, 0.999970376f, 0.9999879f,   0.99999553f,
     0.999998152f, 0.999999344f, 0.999999762f, 0.99999994f,  1.0f,         1.0f,         1.0f,         1.0f},
    {1.12837911f,     1.10639596f,     1.04269445f,     0.944566607f,
     0.822612584f,    0.688585818f,    0.553786397f,    0.428355902f,
     0.318497926f,    0.227253139f,    0.155996442f,    0.103131145f,
     0.0654954538f,   0.0398449153f,   0.0233672019f,   0.0132030714f,
     0.00714652706f,  0.00372628751f,  0.00186240708f,  0.00089391513f,
     0.000414934184f, 0.000184081116f, 7.84576623e-05f, 3.02772914e-05f,
     1.29709497e-05f, 4.78581978e-06f, 1.8031368e-06f,  5.73497005e-07f,
     1.92730681e-07f, 6.22578185e-08f, 1.93312619e-08f, 0.0f},
    {1.62210849e-08f,  -0.155188546f,    -0.293020397f,    -0.398300678f,
     -0.462459564f,    -0.483922541f,    -0.467205882f,    -0.42157346f,
     -0.358210891f,    -0.287677526f,    -0.219435081f,    -0.159521818f,
     -0.110502481f,    -0.072857976f,    -0.0460114926f,   -0.0278458949f,
     -0.0160786938f,   -0.00890656561f,  -0.00471395999f,  -0.00238868478f,
     -0.00116682949f,  -0.000543596689f, -0.000242748036f, -9.82264683e-05f,
     -4.37409653e-05f, -1.68311053e-05f, -6.58671343e-06f, -2.18302489e-06f,
     -7.60718535e-07f, -2.54483751e-07f, -8.17342851e-08f, 0.0f},
    {-0.376128167f,   -0.354285687f,   -0.292666405f,   -0.202884734f,
     -0.100877583f,   -0.00280092913f, 0.0781790242f,   0.133812875f,
     0.162416145f,    0.167026073f,    0.153781042f,    0.130118847f,
     0.102458641f,    0.075533703f,    0.0526106097f,   0.0347514674f,
     0.0217348114f,   0.0129506914f,   0.00733397109f,  0.00395761617f,
     0.00204939954f,  0.00100895215f,  0.000474595698f, 0.000202289637f,
     9.40341415e-05f, 3.78686091e-05f, 1.54448317e-05f, 5.34538594e-06f,
     1.93613369e-06f, 6.72192982e-07f, 2.23741068e-07f, 0.0f},
    {5.89130796e-05f,  0.0763465241f,    0.138395071f,     0.175073072f,
     0.18208155f,      0.161991462f,     0.122623011f,     0.0747021213f,
     0.0282093957f,    -0.00962958299f,  -0.0348169617f,   -0.0473000482f,
     -0.0494936965f,   -0.0447192192f,   -0.0364480168f,   -0.0273781046f,
     -0.019116072f,    -0.0125355795f,   -0.00773370964f,  -0.00450932374f,
     -0.00250466797f,  -0.00131617626f,  -0.000658029574f, -0.000297552091f,
     -0.000145317972f, -6.16415782e-05f, -2.63184138e-05f, -9.55713767e-06f,
     -3.61386196e-06f, -1.30744365e-06f, -4.52735833e-07f, 0.0f},
    {0.112180635f,    0.101661809f,    0.071929127f,    0.031083541f,
     -0.0108712949f,  -0.0447563753f,  -0.0647266805f,  -0.0693465173f,
     -0.0611265115f,  -0.0449947864f,  -0.0263583884f,  -0.00959127024f,
     0.00278280582f,  0.0100651588f,   0.0128998542f,   0.0126159638f,
     0.010617014f,    0.00803129282f,  0.00557663338f,  0.00359743321f,
     0.00217293669f,  0.00123471161f,  0.000669201137f, 0.00034015064f,
     0.000165148042f, 7.56716836e-05f, 3.31545489e-05f, 1.37173674e-05f,
     5.44668546e-06f, 2.06422237e-06f, 7.47132674e-07f, 0.0f}};

}  // namespace descent::cpu
