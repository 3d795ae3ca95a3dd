/* Kinematics of a Franka arm, and the dynamics library that a Panda (protocol 5) sends to its client.
 *
 * Matrices are column-major, as everywhere in libfranka. The frames are exact (Craig's parameters from Franka's
 * documentation); the dynamics are those of seven independent rotors: a constant diagonal mass, no gravity, no Coriolis.
 */
#include <math.h>
#include <string.h>

#define JOINTS 7
#define FLANGE 8 /* frames 1..7 are the joints', 8 is the flange's, 9 the end effector's */
#define TOOL 9

static const double A[FLANGE] = {0, 0, 0, 0.0825, -0.0825, 0, 0.088, 0};
static const double D[FLANGE] = {0.333, 0, 0.316, 0, 0.384, 0, 0, 0.107};
static const double TWIST[FLANGE] = {0, -M_PI_2, M_PI_2, M_PI_2, -M_PI_2, M_PI_2, M_PI_2, 0};
static const double INERTIA[JOINTS] = {1.5, 1.5, 1, 1, 0.3, 0.3, 0.2};  /* [kg m^2] */
static const double FRICTION[JOINTS] = {0.2, 0.2, 0.2, 0.2, 0.1, 0.1, 0.05}; /* [N m], dry */
static const double VISCOUS = 0.5;                                       /* [N m s/rad] */

static void multiply(const double *a, const double *b, double *product) {
  double out[16];
  for (int column = 0; column < 4; column++)
    for (int row = 0; row < 4; row++) {
      double sum = 0;
      for (int k = 0; k < 4; k++) sum += a[4 * k + row] * b[4 * column + k];
      out[4 * column + row] = sum;
    }
  memcpy(product, out, sizeof out);
}

/* frames[i] = pose of frame i + 1 in the base, for the first `count` frames. */
static void forward(const double *q, const double *F_T_EE, int count, double frames[TOOL][16]) {
  for (int i = 0; i < count; i++) {
    double step[16];
    if (i < FLANGE) {
      const double angle = i < JOINTS ? q[i] : 0;
      const double c = cos(angle), s = sin(angle), ct = cos(TWIST[i]), st = sin(TWIST[i]);
      const double dh[16] = {c, s * ct, s * st, 0, -s, c * ct, c * st, 0, 0, -st, ct, 0, A[i], -st * D[i], ct * D[i], 1};
      memcpy(step, dh, sizeof step);
    } else {
      memcpy(step, F_T_EE, sizeof step);
    }
    if (i == 0)
      memcpy(frames[0], step, sizeof step);
    else
      multiply(frames[i - 1], step, frames[i]);
  }
}

/* (6, 7) column-major: what each joint's speed does to frame `count`, in the base's axes or in the frame's own. */
static void jacobian(const double *q, const double *F_T_EE, int count, int own_axes, double J[42]) {
  double frames[TOOL][16];
  forward(q, F_T_EE, count, frames);
  const double *end = frames[count - 1];
  memset(J, 0, 42 * sizeof *J);
  for (int i = 0; i < count && i < JOINTS; i++) {
    const double *z = frames[i] + 8, *origin = frames[i] + 12;
    const double r[3] = {end[12] - origin[0], end[13] - origin[1], end[14] - origin[2]};
    double twist[6] = {z[1] * r[2] - z[2] * r[1], z[2] * r[0] - z[0] * r[2], z[0] * r[1] - z[1] * r[0], z[0], z[1], z[2]};
    if (own_axes)
      for (int half = 0; half < 6; half += 3)
        for (int axis = 0; axis < 3; axis++)
          J[6 * i + half + axis] = end[4 * axis] * twist[half] + end[4 * axis + 1] * twist[half + 1] +
                                   end[4 * axis + 2] * twist[half + 2];
    else
      memcpy(J + 6 * i, twist, sizeof twist);
  }
}

/* ---- what libfranka looks up by name ---- */

#define FRAME(n)                                                \
  void O_T_J##n(const double q[7], double T[16]) {              \
    double frames[TOOL][16];                                    \
    forward(q, 0, n, frames);                                   \
    memcpy(T, frames[n - 1], sizeof frames[0]);                 \
  }
#define JACOBIANS(n)                                                                   \
  void O_J_J##n(const double q[7], double J[42]) { jacobian(q, 0, n, 0, J); }          \
  void Ji_J_J##n(const double q[7], double J[42]) { jacobian(q, 0, n, 1, J); }

FRAME(1) FRAME(2) FRAME(3) FRAME(4) FRAME(5) FRAME(6) FRAME(7) FRAME(8)
JACOBIANS(2) JACOBIANS(3) JACOBIANS(4) JACOBIANS(5) JACOBIANS(6) JACOBIANS(7) JACOBIANS(8)

static const double REST[JOINTS];
void O_J_J1(double J[42]) { jacobian(REST, 0, 1, 0, J); } /* the first axis stands still: no joints are passed */
void Ji_J_J1(double J[42]) { jacobian(REST, 0, 1, 1, J); }

void O_T_J9(const double q[7], const double F_T_EE[16], double T[16]) {
  double frames[TOOL][16];
  forward(q, F_T_EE, TOOL, frames);
  memcpy(T, frames[TOOL - 1], sizeof frames[0]);
}
void O_J_J9(const double q[7], const double F_T_EE[16], double J[42]) { jacobian(q, F_T_EE, TOOL, 0, J); }
void Ji_J_J9(const double q[7], const double F_T_EE[16], double J[42]) { jacobian(q, F_T_EE, TOOL, 1, J); }

void M_NE(const double q[7], const double I_total[9], double m_total, const double F_x_Ctotal[3], double mass[49]) {
  (void)q, (void)I_total, (void)m_total, (void)F_x_Ctotal;
  memset(mass, 0, 49 * sizeof *mass);
  for (int i = 0; i < JOINTS; i++) mass[8 * i] = INERTIA[i];
}
void c_NE(const double q[7], const double dq[7], const double I_total[9], double m_total, const double F_x_Ctotal[3],
          double coriolis[7]) {
  (void)q, (void)dq, (void)I_total, (void)m_total, (void)F_x_Ctotal;
  memset(coriolis, 0, 7 * sizeof *coriolis);
}
void g_NE(const double q[7], const double gravity_earth[3], double m_total, const double F_x_Ctotal[3],
          double gravity[7]) {
  (void)q, (void)gravity_earth, (void)m_total, (void)F_x_Ctotal;
  memset(gravity, 0, 7 * sizeof *gravity);
}

/* ---- what the server itself calls ---- */

/* Solve (J J^T + damping) x = b in place of b, by Gauss elimination: the matrix is positive definite. */
static void solve_damped(const double J[42], double b[6]) {
  double m[6][6];
  for (int r = 0; r < 6; r++)
    for (int c = 0; c < 6; c++) {
      m[r][c] = r == c ? 1e-7 : 0;
      for (int i = 0; i < JOINTS; i++) m[r][c] += J[6 * i + r] * J[6 * i + c];
    }
  for (int p = 0; p < 6; p++)
    for (int r = p + 1; r < 6; r++) {
      const double f = m[r][p] / m[p][p];
      for (int c = p; c < 6; c++) m[r][c] -= f * m[p][c];
      b[r] -= f * b[p];
    }
  for (int p = 5; p >= 0; p--) {
    for (int c = p + 1; c < 6; c++) b[p] -= m[p][c] * b[c];
    b[p] /= m[p][p];
  }
}

/* Add the least joint step that moves the tool by `twist` ([m], [rad] in base axes). */
void follow_twist(double q[7], const double F_T_EE[16], const double twist[6]) {
  double J[42], x[6];
  jacobian(q, F_T_EE, TOOL, 0, J);
  memcpy(x, twist, sizeof x);
  solve_damped(J, x);
  for (int i = 0; i < JOINTS; i++)
    for (int r = 0; r < 6; r++) q[i] += J[6 * i + r] * x[r];
}

/* Move q to where the tool is at `target`; what is left of the error [m or rad], its largest component. */
double follow_pose(double q[7], const double F_T_EE[16], const double target[16]) {
  double worst = 0;
  for (int iteration = 0; iteration < 5; iteration++) {
    double T[16], R[9], twist[6];
    O_T_J9(q, F_T_EE, T);
    for (int c = 0; c < 3; c++) /* R = target T^-1, the turn that is missing, in base axes */
      for (int r = 0; r < 3; r++) {
        R[3 * c + r] = 0;
        for (int k = 0; k < 3; k++) R[3 * c + r] += target[4 * k + r] * T[4 * k + c];
      }
    for (int i = 0; i < 3; i++) twist[i] = target[12 + i] - T[12 + i];
    twist[3] = 0.5 * (R[5] - R[7]), twist[4] = 0.5 * (R[6] - R[2]), twist[5] = 0.5 * (R[1] - R[3]);
    worst = 0;
    for (int i = 0; i < 6; i++) worst = fmax(worst, fabs(twist[i]));
    if (worst < 1e-7) break;
    follow_twist(q, F_T_EE, twist);
  }
  return worst;
}

/* One step of dt [s] under torques [N m], with friction. */
void follow_torque(double q[7], double dq[7], const double tau[7], double dt) {
  for (int i = 0; i < JOINTS; i++) {
    double speed = dq[i] + dt * (tau[i] - VISCOUS * dq[i]) / INERTIA[i];
    const double lost = dt * FRICTION[i] / INERTIA[i];
    dq[i] = fabs(speed) <= lost ? 0 : speed - copysign(lost, speed);
    q[i] += dt * dq[i];
  }
}
